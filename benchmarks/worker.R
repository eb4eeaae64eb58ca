# lme4 on one case: the same commands and answers as worker.py, timed inside R.
#   Rscript worker.R FORMULA FOLDER GROUP,GROUP,...

arguments <- commandArgs(trailingOnly = TRUE)
formula_text <- arguments[1]
folder <- arguments[2]
groups <- strsplit(arguments[3], ",")[[1]]
responses <- 64L

read_frame <- function(folder, groups) {
  columns <- read.delim(file.path(folder, "columns.tsv"), header = FALSE,
                        col.names = c("name", "kind", "rows"), colClasses = c("character", "character", "integer"))
  data <- list()
  for (i in seq_len(nrow(columns))) {
    name <- columns$name[i]; kind <- columns$kind[i]; rows <- columns$rows[i]
    path <- file.path(folder, paste0(name, ".bin"))
    if (kind == "float") {
      value <- readBin(path, "double", rows, endian = "little")
    } else if (kind == "int") {
      # int64, small and not negative: the low halves
      value <- readBin(path, "integer", 2L * rows, size = 4L, endian = "little")[c(TRUE, FALSE)]
    } else {
      codes <- readBin(path, "integer", rows, size = 4L, endian = "little")
      levels <- readLines(file.path(folder, paste0(name, ".levels")))
      value <- structure(codes + 1L, levels = levels, class = "factor")
    }
    data[[name]] <- if (name %in% groups && !is.factor(value)) factor(value) else value
  }
  as.data.frame(data)
}

quoted <- function(text) encodeString(gsub("[\r\n]+", " ", text), quote = "\"")
numbers <- function(x) paste0("[", paste(sprintf("%.17g", x), collapse = ","), "]")
say <- function(...) cat(paste0("{", paste(c(...), collapse = ","), "}"), "\n", sep = "")

measure <- function(action, count, seconds, ...) {
  wall <- numeric(0)
  cpu <- proc.time()
  deadline <- as.numeric(Sys.time()) + seconds
  repeat {
    begin <- as.numeric(Sys.time())
    action()
    end <- as.numeric(Sys.time())
    wall <- c(wall, end - begin)
    if (length(wall) >= count || end > deadline) break
  }
  used <- sum((proc.time() - cpu)[1:2]) / length(wall)   # R's processor clock is too coarse for one fit
  say("\"ok\":true", paste0("\"wall\":", numbers(wall)),
      paste0("\"processor\":", numbers(rep(used, length(wall)))), ...)
}

status <- function(key) {
  line <- grep(paste0("^", key, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(strsplit(line, "[[:space:]]+")[[1]][2]) * 1024
}

state <- new.env()

do <- function(command) {
  switch(command[1],
    start = {
      if (!requireNamespace("lme4", quietly = TRUE)) {
        say("\"ok\":false", "\"kind\":\"not installed\"", "\"message\":\"R has no package lme4\"")
        return(invisible())
      }
      state$data <- read_frame(folder, groups)
      state$formula <- as.formula(formula_text)
      begin <- as.numeric(Sys.time())
      fitted <- lme4::lmer(state$formula, state$data)
      seconds <- as.numeric(Sys.time()) - begin
      blas <- normalizePath(extSoftVersion()[["BLAS"]])
      blas <- if (grepl("openblas", blas)) "OpenBLAS" else paste("BLAS", basename(blas))
      version <- paste0(packageVersion("lme4"), " (R ", getRversion(), ", ", blas, ")")
      state$fitted <- fitted
      say("\"ok\":true", sprintf("\"first\":%.17g", seconds), paste0("\"version\":", quoted(version)),
          sprintf("\"objective\":%.17g", lme4::REMLcrit(fitted)),
          sprintf("\"evaluations\":%d", as.integer(fitted@optinfo$feval)),
          paste0("\"converged\":", if (fitted@optinfo$conv$opt == 0) "true" else "false"))
    },
    fit = measure(function() lme4::lmer(state$formula, state$data), as.integer(command[2]), as.numeric(command[3])),
    refit = {
      if (is.null(state$responses)) {
        set.seed(64)
        y <- as.numeric(lme4::getME(state$fitted, "y"))
        state$responses <- lapply(seq_len(responses), function(i) y + 0.25 * sd(y) * rnorm(length(y)))
        state$turn <- 0L
        state$check <- max(vapply(state$responses[1:5], function(y) {
          again <- lme4::refit(state$fitted, newresp = y)
          data <- state$data
          data[[all.vars(state$formula)[1]]] <- y
          abs(lme4::REMLcrit(again) - lme4::REMLcrit(lme4::lmer(state$formula, data)))
        }, 0))
      }
      measure(function() {
        state$turn <- state$turn %% responses + 1L
        lme4::refit(state$fitted, newresp = state$responses[[state$turn]])
      }, as.integer(command[2]), as.numeric(command[3]), sprintf("\"check\":%.17g", state$check))
    },
    `refit-many` = say("\"ok\":false", "\"kind\":\"not supported\"", "\"message\":\"no refit of many responses\""),
    memory = {
      # A fresh process that has fitted the small case only, so that libraries are loaded.
      small <- read_frame(command[2], "Subject")
      invisible(lme4::lmer(Reaction ~ Days + (Days | Subject), small))
      data <- read_frame(folder, groups)
      invisible(gc())
      cat("5", file = "/proc/self/clear_refs")
      before <- status("VmRSS")
      fitted <- lme4::lmer(as.formula(formula_text), data)
      peak <- status("VmHWM")
      say("\"ok\":true", sprintf("\"extra\":%.17g", peak - before), "\"exact\":true")
    },
    stop("unknown command: ", paste(command, collapse = " ")))
}

options(warn = -1)
input <- file("stdin", "r")
while (length(line <- readLines(input, n = 1L)) > 0L) {
  tryCatch(suppressMessages(do(strsplit(line, " ")[[1]])),
           error = function(e) say("\"ok\":false", "\"kind\":\"failed\"", paste0("\"message\":", quoted(conditionMessage(e)))))
  flush(stdout())
}
