#include "refit.hpp"

#include <cmath>

namespace pp {

namespace {

// One grouping factor with few patterns: nothing is copied, nothing is factored that y is not in.
class PatternRefits {
   public:
    PatternRefits(Plan& plan, const ResponseMoments& moments)
        : work_(std::make_unique<Plan>(plan, std::make_shared<Products>(plan.products()))),
          moments_(moments),
          identity_(identity_basis(plan.layout())),
          A_(plan.products().p * plan.products().p),
          pilot_(plan.products().p) {
        fixed_basis(plan.products().transform, plan.products().p, A_.data(), pilot_.data());
    }

    // theta (user's coordinates), beta, sigma and value to the row of the result.
    bool run(const NewtonOptions& options, double* theta, double* beta, double& sigma,
             double& value) {
        const Index p = static_cast<Index>(pilot_.size());
        work_->patterns()->set_response(moments_.Zy[0].data(), moments_.Dy.data());
        work_->moment_start(moments_.Zy, moments_.rss(), start_);
        const Minimum m = work_->minimise_scaled(start_, options, &newton_);
        if (m.outcome == Outcome::failed || m.outcome == Outcome::unbounded) return false;
        if (!m.evaluated) {
            work_->evaluate_scaled(identity_, m.theta.data(), kGradient, newton_.now);
            if (newton_.now.status != Status::ok) return false;
        }
        work_->to_user(m.theta, theta);
        const Vector& b = work_->patterns()->beta();
        std::fill_n(beta, p, 0.0);
        for (Index c = 0; c < p; ++c) axpy(b[c] + moments_.delta0[c], ptr(A_, c * p), beta, p);
        for (Index r : work_->products().transform.constant) beta[r] += moments_.y0;
        sigma = std::sqrt(newton_.now.scale);
        value = newton_.now.value;
        return m.outcome == Outcome::converged && m.kkt;
    }

   private:
    std::unique_ptr<Plan> work_;
    const ResponseMoments& moments_;
    Basis identity_;
    Vector A_, pilot_;
    Vector start_;
    NewtonWork newton_;
};

}  // namespace

RefitResult refit_many(Plan& plan, const RowSet& rows, const double* y, Index responses,
                       const Vector& start, const NewtonOptions& options) {
    RefitResult out;
    const Index K = plan.layout().size, p = plan.products().p;
    out.theta.assign(responses * K, NAN);
    out.beta.assign(responses * p, NAN);
    out.sigma.assign(responses, NAN);
    out.value.assign(responses, NAN);
    out.converged.assign(responses, 0);
    ResponseMoments moments(rows, plan.products());
    std::unique_ptr<PatternRefits> fast;
    if (plan.patterns()) fast = std::make_unique<PatternRefits>(plan, moments);
    for (Index r = 0; r < responses; ++r) {
        moments.compute(y + r * rows.n);
        double *theta = ptr(out.theta, r * K), *beta = p ? ptr(out.beta, r * p) : nullptr;
        if (fast) {
            out.converged[r] = fast->run(options, theta, beta, out.sigma[r], out.value[r]);
            continue;
        }
        Plan one(plan, std::make_shared<Products>(moments.replaced(y + r * rows.n)));
        const Minimum m = one.reminimise(start, options);
        if (m.outcome == Outcome::failed || m.outcome == Outcome::unbounded) continue;
        const Vector user = one.to_user(m.theta);
        const Solution s = one.solve(user);
        if (!s.ok) continue;
        std::copy(user.begin(), user.end(), theta);
        std::copy(s.beta.begin(), s.beta.end(), beta);
        out.sigma[r] = std::sqrt(s.scale);
        out.value[r] = s.value;
        out.converged[r] = m.outcome == Outcome::converged && m.kkt;
    }
    return out;
}

}  // namespace pp
