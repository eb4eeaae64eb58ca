# Values of R's emmeans for tests/reference/test_means.py. Run in this folder:
#   Rscript emmeans.R > emmeans.json
# Each entry keeps its call. "grid" entries are emmeans or emtrends, "table" entries come from pairs,
# contrast or joint_tests. Covariates with two values stay covariates (cov.keep), slopes are taken
# with a small step (delta.var), so that both agree with the definitions used here.
suppressPackageStartupMessages({
  library(lme4); library(lmerTest); library(emmeans); library(jsonlite)
})
emm_options(cov.keep = character(0), msg.interaction = FALSE, lmer.df = "satterthwaite")
read <- function(name) read.csv(paste0(name, ".csv"), colClasses = c(temperature = "character")[
  if (name == "cake") "temperature" else character(0)], stringsAsFactors = TRUE)
cake <- read("cake"); cake$temperature <- factor(cake$temperature)
cake$replicate <- factor(cake$replicate)
holes <- cake[-c(3, 10, 11, 25, 48, 49, 77, 100, 131, 160, 161, 162, 200, 222, 223, 251), ]
mpg <- read("mpg")
mpg$w <- rep(c(1, 2, 4), length.out = nrow(mpg))
tight <- lmerControl(optCtrl = list(xtol_abs = 1e-10, ftol_abs = 1e-10))

fits <- list(
  cake = quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake, control = tight)),
  holes = quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), holes, control = tight)),
  temp = quote(lmer(angle ~ recipe * temp + I(temp^2) + (1 | recipe:replicate), holes, control = tight)),
  additive = quote(lmer(angle ~ recipe + temperature + (1 | replicate), holes, control = tight)),
  mpg = quote(lmer(hwy ~ drv * displ + fl + year + (1 | manufacturer), mpg, control = tight)),
  logs = quote(lmer(log(hwy) ~ drv * log(displ) + poly(cty, 2) + (1 | manufacturer), mpg, control = tight)),
  weighted = quote(lmer(hwy ~ drv + displ + class + (1 | manufacturer), mpg, weights = w, control = tight)),
  lm = quote(lm(hwy ~ drv * fl2 + displ, mpg)),
  offset = quote(lm(hwy ~ drv + year + offset(cty / 2), mpg))
)
mpg$fl2 <- factor(ifelse(mpg$fl %in% c("p", "r"), as.character(mpg$fl), "other"))
models <- lapply(fits, eval, envir = globalenv())

grids <- list(
  list("cake", quote(emmeans(m, ~ recipe))),
  list("cake", quote(emmeans(m, ~ recipe, lmer.df = "kenward-roger"))),
  list("cake", quote(emmeans(m, ~ recipe * temperature))),
  list("holes", quote(emmeans(m, ~ recipe))),
  list("holes", quote(emmeans(m, ~ recipe, lmer.df = "kenward-roger"))),
  list("holes", quote(emmeans(m, ~ temperature | recipe))),
  list("holes", quote(emmeans(m, ~ recipe, weights = "proportional"))),
  list("holes", quote(emmeans(m, ~ recipe, weights = "cells"))),
  list("holes", quote(emmeans(m, ~ recipe, at = list(temperature = c("185", "225"))))),
  list("temp", quote(emmeans(m, ~ recipe))),
  list("temp", quote(emmeans(m, ~ recipe | temp, at = list(temp = c(180, 220))))),
  list("temp", quote(emmeans(m, ~ recipe, at = list(temp = c(180, 220))))),
  list("temp", quote(emtrends(m, ~ recipe, var = "temp", delta.var = 1e-4))),
  list("temp", quote(emtrends(m, ~ recipe, var = "temp", delta.var = 1e-4, lmer.df = "kenward-roger"))),
  list("additive", quote(emmeans(m, ~ temperature))),
  list("additive", quote(emmeans(m, ~ temperature, weights = "outer"))),
  list("mpg", quote(emmeans(m, ~ drv))),
  list("mpg", quote(emmeans(m, ~ drv, weights = "proportional"))),
  list("mpg", quote(emmeans(m, ~ drv, weights = "cells"))),
  list("mpg", quote(emmeans(m, ~ drv * fl, at = list(displ = 2, fl = c("p", "r"))))),
  list("mpg", quote(emtrends(m, ~ drv, var = "displ"))),
  list("logs", quote(emmeans(m, ~ drv))),
  list("logs", quote(emmeans(m, ~ drv, lmer.df = "kenward-roger"))),
  list("logs", quote(emtrends(m, ~ drv, var = "displ", delta.var = 1e-5))),
  list("logs", quote(emtrends(m, ~ 1, var = "cty", delta.var = 1e-5))),
  list("weighted", quote(emmeans(m, ~ drv))),
  list("lm", quote(emmeans(m, ~ drv))),
  list("lm", quote(emmeans(m, ~ drv, weights = "proportional"))),
  list("lm", quote(emmeans(m, ~ drv, weights = "cells"))),
  list("lm", quote(emmeans(m, ~ drv | fl2))),
  list("lm", quote(emtrends(m, ~ drv, var = "displ"))),
  list("offset", quote(emmeans(m, ~ drv)))
)
tables <- list(
  list("cake", quote(pairs(emmeans(m, ~ recipe)))),
  list("cake", quote(confint(pairs(emmeans(m, ~ recipe))))),
  list("holes", quote(pairs(emmeans(m, ~ temperature)))),
  list("holes", quote(pairs(emmeans(m, ~ temperature, lmer.df = "kenward-roger")))),
  list("holes", quote(pairs(emmeans(m, ~ temperature), adjust = "sidak"))),
  list("holes", quote(pairs(emmeans(m, ~ temperature), adjust = "holm"))),
  list("holes", quote(pairs(emmeans(m, ~ temperature), adjust = "bonferroni"))),
  list("holes", quote(pairs(emmeans(m, ~ temperature), adjust = "none"))),
  list("holes", quote(pairs(emmeans(m, ~ temperature), adjust = "mvt"))),
  list("holes", quote(confint(pairs(emmeans(m, ~ temperature), adjust = "tukey")))),
  list("holes", quote(confint(pairs(emmeans(m, ~ temperature), adjust = "sidak"), level = 0.9))),
  list("holes", quote(confint(pairs(emmeans(m, ~ temperature), adjust = "bonferroni")))),
  list("holes", quote(pairs(emmeans(m, ~ recipe | temperature)))),
  list("holes", quote(contrast(emmeans(m, ~ temperature), "poly"))),
  list("holes", quote(contrast(emmeans(m, ~ temperature), "eff", adjust = "holm"))),
  list("holes", quote(contrast(emmeans(m, ~ temperature), "consec", adjust = "none"))),
  list("holes", quote(contrast(emmeans(m, ~ temperature), "trt.vs.ctrl", adjust = "mvt"))),
  list("mpg", quote(pairs(emmeans(m, ~ drv)))),
  list("mpg", quote(pairs(emtrends(m, ~ drv, var = "displ")))),
  list("lm", quote(pairs(emmeans(m, ~ drv | fl2)))),
  list("cake", quote(joint_tests(emmeans(m, ~ recipe * temperature)))),
  list("holes", quote(joint_tests(emmeans(m, ~ recipe * temperature, lmer.df = "kenward-roger")))),
  list("holes", quote(joint_tests(emmeans(m, ~ recipe * temperature)))),
  list("lm", quote(joint_tests(emmeans(m, ~ drv * fl2)))),
  list("lm", quote(joint_tests(emmeans(m, ~ drv * fl2), by = "fl2")))
)
run <- function(entry) {
  set.seed(1)
  m <- models[[entry[[1]]]]
  out <- as.data.frame(eval(entry[[2]]))
  list(model = entry[[1]], call = paste(deparse(entry[[2]], 500), collapse = ""),
       table = as.list(out))
}
# emmeans combines degrees of freedom of a joint test by a rule of its own; lmerTest's is the one of
# the literature (Fai and Cornelius 1996): the same hypotheses through its contest().
joint <- function(ddf) {
  L <- emmeans(models$holes, ~ recipe * temperature)@linfct
  differences <- function(n) diff(diag(n))
  mean_of <- function(n) matrix(1 / n, 1, n)
  rows <- list(recipe = kronecker(mean_of(6), differences(3)),
               temperature = kronecker(differences(6), mean_of(3)),
               "recipe:temperature" = kronecker(differences(6), differences(3)))
  lapply(rows, function(C) as.list(contest(models$holes, C %*% L, joint = TRUE, ddf = ddf)))
}
cat(toJSON(list(
  versions = list(R = R.version.string, emmeans = as.character(packageVersion("emmeans")),
                  lme4 = as.character(packageVersion("lme4")),
                  lmerTest = as.character(packageVersion("lmerTest")),
                  pbkrtest = as.character(packageVersion("pbkrtest"))),
  fits = lapply(fits, function(f) paste(deparse(f, 500), collapse = "")),
  contests = list(satterthwaite = joint("Satterthwaite"), "kenward-roger" = joint("Kenward-Roger")),
  grids = lapply(grids, run), tables = lapply(tables, run)
), digits = 12, auto_unbox = TRUE, na = "null", pretty = 1), "\n")
