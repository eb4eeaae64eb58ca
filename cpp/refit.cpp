#include "refit.hpp"

#include <cmath>

namespace pp {

namespace {

// One grouping factor with few patterns: nothing is copied, nothing is factored that y is not in.
class PatternRefits {
   public:
    PatternRefits(Plan& plan, const Moments& moments)
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
    const Moments& moments_;
    Basis identity_;
    Vector A_, pilot_;
    Vector start_;
    NewtonWork newton_;
};

// Refits one after the other, into rows of a result; `size` is that of the response (see Moments).
class Refits {
   public:
    Refits(Plan& plan, const Moments& moments, Index responses, const Vector& start,
           const NewtonOptions& options)
        : plan_(plan), moments_(moments), start_(start), options_(options) {
        const Index K = plan.layout().size, p = plan.products().p;
        out.theta.assign(responses * K, NAN);
        out.beta.assign(responses * p, NAN);
        out.sigma.assign(responses, NAN);
        out.value.assign(responses, NAN);
        out.converged.assign(responses, 0);
        if (plan.patterns()) fast_ = std::make_unique<PatternRefits>(plan, moments);
        options_.other_starts = !fast_ && plan.is_small() && plan.few_levels();
    }

    bool needs_size() const { return !fast_; }

    void run(Index r, double size) {
        const Index K = plan_.layout().size, p = plan_.products().p;
        double *theta = ptr(out.theta, r * K), *beta = p ? ptr(out.beta, r * p) : nullptr;
        if (fast_) {
            out.converged[r] = fast_->run(options_, theta, beta, out.sigma[r], out.value[r]);
            return;
        }
        Plan one(plan_, std::make_shared<Products>(moments_.replaced(plan_.products(), size)));
        const Minimum m = one.reminimise(start_, options_);
        if (m.outcome == Outcome::failed || m.outcome == Outcome::unbounded) return;
        const Vector user = one.to_user(m.theta);
        const Solution s = one.solve(user);
        if (!s.ok) return;
        std::copy(user.begin(), user.end(), theta);
        std::copy(s.beta.begin(), s.beta.end(), beta);
        out.sigma[r] = std::sqrt(s.scale);
        out.value[r] = s.value;
        out.converged[r] = m.outcome == Outcome::converged && m.kkt;
    }

    RefitResult out;

   private:
    Plan& plan_;
    const Moments& moments_;
    const Vector& start_;
    NewtonOptions options_;
    std::unique_ptr<PatternRefits> fast_;
};

}  // namespace

RefitResult refit_many(Plan& plan, const RowSet& rows, const double* y, Index responses,
                       const Vector& start, const NewtonOptions& options) {
    ResponseMoments moments(rows, plan.products());
    Refits refits(plan, moments, responses, start, options);
    for (Index r = 0; r < responses; ++r) {
        const double* one = y + r * rows.n;
        moments.compute(one);
        refits.run(r, refits.needs_size() ? moments.size(one) : 0);
    }
    return std::move(refits.out);
}

RefitResult refit_moments(Plan& plan, const double* Zy, const double* Xy, const double* yy,
                          Index responses, const Vector& start, const NewtonOptions& options) {
    const Products& P = plan.products();
    const GroupProducts& g = P.groups[0];
    const Index p = P.p, w = p + 1, k = g.k, q = g.levels * k;
    Vector L(p * p);
    for (Index c = 0; c < p; ++c) std::copy_n(ptr(P.D, c * w), p, ptr(L, c * p));
    cholesky(L.data(), p, p);
    Moments moments;
    moments.delta0.assign(p, 0.0);
    moments.Dy.assign(w, 0.0);
    moments.Zy.emplace_back(q);
    Refits refits(plan, moments, responses, start, options);
    for (Index r = 0; r < responses; ++r) {
        // Take the least-squares fit off, as ResponseMoments::compute does of rows.
        Vector& half = moments.Dy;
        for (Index c = 0; c < p; ++c) half[c] = Xy[r * p + c];
        solve_lower(L.data(), p, p, half.data());
        const double rss = std::max(yy[r] - dot(half.data(), half.data(), p), 0.0);
        std::copy_n(half.data(), p, moments.delta0.data());
        solve_lower_transposed(L.data(), p, p, moments.delta0.data());
        std::fill_n(half.data(), p, 0.0);
        half[p] = rss;
        std::copy_n(Zy + r * q, q, moments.Zy[0].data());
        for (Index j = 0; j < g.levels; ++j)
            for (Index x = 0; x < p; ++x)
                axpy(-moments.delta0[x], ptr(g.C, (j * w + x) * k), ptr(moments.Zy[0], j * k), k);
        refits.run(r, std::sqrt(yy[r] / double(P.n)));
    }
    return std::move(refits.out);
}

}  // namespace pp
