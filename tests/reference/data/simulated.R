# Simulated designs with holes, and what R says of them. From this folder: Rscript simulated.R
suppressMessages({library(jsonlite); library(lmerTest); library(pbkrtest); library(emmeans)})
options(contrasts = c("contr.treatment", "contr.poly"))
emm_options(lmerTest.limit = 1e6, pbkrtest.limit = 1e6, msg.interaction = FALSE)
set.seed(7)
n <- 200
full <- data.frame(a = sample(letters[1:3], n, TRUE), b = sample(c("x", "y"), n, TRUE, c(.6, .4)),
  g = sample(1:15, n, TRUE), h = sample(1:8, n, TRUE), x = round(rnorm(n, 5, 2), 2), w = sample(c(1, 2, 4), n, TRUE))
full$y <- round(1 + (full$a == "b") + .5 * full$x * (full$b == "y") + rnorm(15)[full$g] + rnorm(8)[full$h] +
  .4 * rnorm(15)[full$g] * full$x + rnorm(n), 2)
fs <- expand.grid(cond = c("A", "B", "C"), s = 1:12, r = 1:3)
fs <- fs[runif(nrow(fs)) > .2, ]
m <- matrix(rnorm(36), 12)
fs$x <- round(rnorm(nrow(fs)), 2)
fs$y <- round(m[cbind(fs$s, as.integer(fs$cond))] + .5 * as.integer(fs$cond) + .3 * fs$x + rnorm(nrow(fs)), 2)
write.csv(full, "simulated_full.csv", row.names = FALSE)
write.csv(fs, "simulated_slopes.csv", row.names = FALSE)
frames <- list(full = read.csv("simulated_full.csv", stringsAsFactors = TRUE),
  slopes = read.csv("simulated_slopes.csv", stringsAsFactors = TRUE))
models <- list(
  list("full", "y ~ a * b * x + (x | g) + (1 | h)", TRUE, FALSE), list("full", "y ~ a * b * x + (x | g) + (1 | h)", TRUE, TRUE),
  list("full", "y ~ a * b + x + (1 | g) + (1 | h)", FALSE, FALSE), list("full", "y ~ 0 + a + x + (1 | g) + (0 + x | g)", TRUE, FALSE),
  list("slopes", "y ~ cond + x + (cond | s)", TRUE, FALSE), list("slopes", "y ~ cond * x + (1 | s)", TRUE, TRUE))
tight <- lmerControl(optimizer = "bobyqa", check.conv.singular = "ignore", calc.derivs = FALSE,
  optCtrl = list(rhobeg = .2, rhoend = 1e-9, maxfun = 1e5))
plain <- function(t) c(list(row = rownames(t)), as.list(as.data.frame(t)))
out <- lapply(models, function(s) {
  rows <<- frames[[s[[1]]]]; if (s[[1]] == "slopes") rows$w <<- rows$r
  fit <- eval(parse(text = paste0("lmer(", s[[2]], ", rows, REML = ", s[[3]], if (s[[4]]) ", weights = w", ", control = tight)")))
  r <- list(data = s[[1]], formula = s[[2]], reml = s[[3]], weighted = s[[4]], coefficients = plain(coef(summary(fit))))
  for (t in 1:3) r[[paste0("anova", t)]] <- plain(anova(fit, type = t))
  if (s[[3]] && !s[[4]]) { r$coefficients_kr <- plain(coef(summary(fit, ddf = "Kenward-Roger"))); r$anova3_kr <- plain(anova(fit, type = 3, ddf = "Kenward-Roger")) }
  f <- if (s[[1]] == "full") "a" else "cond"
  e <- emmeans(fit, f, lmer.df = "satterthwaite"); r$factor <- f
  r$means <- plain(confint(e)); r$pairs <- plain(as.data.frame(pairs(e)))
  r })
versions <- sapply(c("lme4", "lmerTest", "pbkrtest", "emmeans"), function(p) as.character(packageVersion(p)))
writeLines(toJSON(list(versions = c(R = as.character(getRversion()), versions) |> as.list(), models = out), digits = 10, auto_unbox = TRUE, na = "null"), "simulated.json")
