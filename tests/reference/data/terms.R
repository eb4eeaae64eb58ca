# Made terms.csv and terms.json: Rscript terms.R (R 4.2.2, lme4 1.1-31, lmerTest 3.1-3, pbkrtest 0.5.2).
suppressMessages({library(lmerTest); library(jsonlite)})
set.seed(11)
n <- 120
d <- data.frame(a=factor(sample(c("p","q","r"),n,TRUE,c(.5,.3,.2))), b=factor(sample(c("u","v"),n,TRUE)), h=factor(sample(c("k","l","m"),n,TRUE)),
  x=round(rnorm(n,2),2), z=round(runif(n,0,3),2), g=factor(rep(sprintf("g%02d",1:15),each=8)), w=round(runif(n,.5,2),2))
d$part <- factor(paste0(d$a, sample(1:3, n, TRUE)))         # nested in a
d$y <- round(rnorm(n,0,.7) + as.integer(d$a)*.3 + d$x*.5 + .4*(d$a=="q")*(d$b=="v") + rnorm(15)[d$g] + .4*rnorm(15)[d$g]*d$x + .6*rnorm(15)[d$g]*d$z+1.0*rnorm(15)[d$g]*(d$b=="v")+ rnorm(9,0,.6)[d$part], 3)
d$inside <- ifelse(d$a=="r" & d$b=="v", 0, 1)              # 0: the cell that is left out
write.csv(d,"terms.csv",row.names=FALSE,quote=FALSE)
ctl <- lmerControl(optimizer="bobyqa", optCtrl=list(rhoend=1e-10))
tab <- function(a) { x<-as.data.frame(a); list(term=as.list(rownames(x)), sum_sq=x[["Sum Sq"]], num_df=x[["NumDF"]], den_df=x[["DenDF"]], F=x[["F value"]], p_value=x[["Pr(>F)"]]) }
run <- function(f, data=d, contrasts=NULL, ddfs="Satterthwaite", ...) {
  m <- lmer(as.formula(f), data, control=ctl, contrasts=contrasts, ...)
  out <- list(formula=f)
  for (t in c("1","2","3")) out[[paste0("type",t)]] <- tab(anova(m, type=t))
  out$kr <- tab(anova(m,type=3,ddf="Kenward-Roger"))
  out$ranova <- {r<-as.data.frame(ranova(m)); list(term=as.list(rownames(r)),npar=r$npar,llf=r$logLik,lrt=r$LRT,df=r$Df,p_value=r[["Pr(>Chisq)"]])}
  ml <- update(m, REML=FALSE)
  q <- as.data.frame(stats::drop1(as(ml,"lmerMod"), test="Chisq")); out$drop1 <- list(term=as.list(rownames(q)), npar=q$npar, aic=q$AIC, lrt=q$LRT, p_value=q[["Pr(Chi)"]])
  out }
res <- list(
  crossed=run("y ~ a * b + x + (1 | g)"),
  covariate=run("y ~ a * x + z + (1 | g)"),
  threeway=run("y ~ a * b * h + (1 | g)"),
  numeric=run("y ~ x * z + b + (1 | g)"),
  polynomial=run("y ~ a * poly(x, 2) + (1 | g)"),
  sums=run("y ~ a * b + a * x + (1 | g)", contrasts=list(a="contr.sum", b="contr.helmert")),
  missing_cell=run("y ~ a * b + x + (1 | g)", data=droplevels(d[d$inside==1,])),
  slopes=run("y ~ a + x + z + (x + z | g)"),
  factor_slopes=run("y ~ a + x + (b | g)"),
  two_groups=run("y ~ a * b + (1 | g) + (1 | part)"),
  no_mains=run("y ~ x + a:b + (1 | g)"))
dw <- d
m <- lmer(y ~ a * b + x + (1 | g), d, weights=w, control=ctl)
res$weighted <- list(formula="y ~ a * b + x + (1 | g)"); for (t in c("1","2","3")) res$weighted[[paste0("type",t)]] <- tab(anova(m,type=t))
lmtab <- function(m) {x<-as.data.frame(anova(m)); list(formula=deparse(formula(m)), term=as.list(rownames(x)), sum_sq=x[["Sum Sq"]], num_df=x[["Df"]], F=x[["F value"]], p_value=x[["Pr(>F)"]])}
d1 <- function(m) {x<-as.data.frame(drop1(m,test="F")); list(term=as.list(rownames(x)), sum_sq=x[["Sum of Sq"]], num_df=x[["Df"]], F=x[["F value"]], p_value=x[["Pr(>F)"]])}
lms <- list(plain=lm(y~a*b*h+x,d), weighted=lm(y~a*b+a*x,d,weights=w), missing=lm(y~a*b*h,d[d$inside==1,]), nested=lm(y~a+part+b,d), none=lm(y~0+a+b+x,d))
res$lm <- lapply(lms, function(m) c(lmtab(m), list(drop1=d1(m))))
a1<-lmer(y ~ a + (1|g), d, REML=FALSE, control=ctl); a2<-lmer(y ~ a + x + (1|g), d, REML=FALSE, control=ctl); a3<-lmer(y ~ a + x + (x|g), d, REML=FALSE, control=ctl); a0<-lm(y~a,d)
x<-as.data.frame(anova(a3,a1,a2,a0)); res$lrt<-list(term=as.list(rownames(x)), npar=x$npar, aic=x$AIC,bic=x$BIC,llf=x$logLik,deviance=x$deviance,chisq=x$Chisq,df=x$Df,p_value=x[["Pr(>Chisq)"]])
mc <- lmer(y ~ a * b + x + (1 | g), d, control=ctl)
L <- rbind(c(0,1,-1,0,0,.5,-.5), c(0,0,0,1,0,0,0), c(1,0,0,0,2,0,0))
res$contest <- list(L=L, one=as.list(as.data.frame(contest(mc, L, joint=FALSE, rhs=0.5))), joint=as.list(as.data.frame(contest(mc,L[1:2,]))), kr=as.list(as.data.frame(contest(mc,L[1:2,],ddf="Kenward-Roger"))))
write_json(list(made_by="R 4.2.2, lme4 1.1-31, lmerTest 3.1-3", cases=res), "terms.json", digits=I(12), auto_unbox=TRUE, na="null", pretty=FALSE)
