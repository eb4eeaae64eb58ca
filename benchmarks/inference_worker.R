# R's side of a task of inference: the same commands and answers as inference_worker.py.
#   Rscript inference_worker.R TASK FOLDER

suppressMessages({ library(lme4); library(lmerTest) })
arguments <- commandArgs(trailingOnly = TRUE)
task <- arguments[1]
folder <- arguments[2]

read_frame <- function(folder) {
  columns <- read.delim(file.path(folder, "columns.tsv"), header = FALSE,
                        col.names = c("name", "kind", "rows"), colClasses = c("character", "character", "integer"))
  data <- list()
  for (i in seq_len(nrow(columns))) {
    name <- columns$name[i]; kind <- columns$kind[i]; rows <- columns$rows[i]
    path <- file.path(folder, paste0(name, ".bin"))
    if (kind == "float") value <- readBin(path, "double", rows, endian = "little")
    else if (kind == "int") value <- readBin(path, "integer", 2L * rows, size = 4L, endian = "little")[c(TRUE, FALSE)]
    else {
      codes <- readBin(path, "integer", rows, size = 4L, endian = "little")
      levels <- readLines(file.path(folder, paste0(name, ".levels")))
      value <- structure(codes + 1L, levels = levels, class = "factor")
    }
    data[[name]] <- value
  }
  as.data.frame(data)
}

d <- read_frame(folder)
sleep <- Reaction ~ Days + (Days | Subject)
cake_formula <- angle ~ recipe * temperature + (1 | recipe:replicate)
prepared <- switch(task,
  "Satterthwaite, InstEval" = { for (n in c("s", "d", "dept")) d[[n]] <- factor(d[[n]])
                                lme4::lmer(y ~ service + (1 | s) + (1 | d) + (1 | dept), d) },
  "summary, sleepstudy" = lme4::lmer(sleep, d),
  "Kenward-Roger, 10,000 rows" = { d$g <- factor(d$g); lmerTest::lmer(y ~ x + (x | g), d) },
  "profile, sleepstudy" = lme4::lmer(sleep, d),
  "bootstrap, sleepstudy" = lme4::lmer(sleep, d),
  "anova type 3, cake" = lmerTest::lmer(cake_formula, d),
  "emmeans and pairs, cake" = lmerTest::lmer(cake_formula, d))
times <- 1
action <- switch(task,
  "Satterthwaite, InstEval" = function() as_lmerModLmerTest(prepared),
  "summary, sleepstudy" = function() capture.output(print(summary(as_lmerModLmerTest(prepared)))),
  "Kenward-Roger, 10,000 rows" = function() summary(prepared, ddf = "Kenward-Roger"),
  "profile, sleepstudy" = function() confint(profile(prepared)),
  "bootstrap, sleepstudy" = { times <- 40
    function() bootMer(prepared, function(f) c(fixef(f), getME(f, "theta"), sigma(f)), nsim = 50, seed = 1) },
  "anova type 3, cake" = function() anova(prepared),
  "emmeans and pairs, cake" = function() summary(pairs(emmeans::emmeans(prepared, "recipe", lmer.df = "satterthwaite"))))

numbers <- function(x) paste0("[", paste(sprintf("%.17g", x), collapse = ","), "]")
stream <- file("stdin", "r")
while (length(line <- readLines(stream, n = 1)) > 0) {
  command <- strsplit(line, " ")[[1]]
  if (command[1] != "run") { cat("{\"ok\":true,\"extra\":null}\n"); next }
  wall <- numeric(0)
  deadline <- as.numeric(Sys.time()) + as.numeric(command[2])
  failed <- NULL
  repeat {
    begin <- as.numeric(Sys.time())
    failed <- tryCatch({ suppressWarnings(suppressMessages(action())); NULL }, error = conditionMessage)
    wall <- c(wall, times * (as.numeric(Sys.time()) - begin))
    if (!is.null(failed) || as.numeric(Sys.time()) > deadline) break
  }
  if (is.null(failed)) cat("{\"ok\":true,\"wall\":", numbers(wall), "}\n", sep = "")
  else cat("{\"ok\":false,\"kind\":\"error\",\"message\":", encodeString(failed, quote = "\""), "}\n", sep = "")
}
