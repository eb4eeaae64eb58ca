#include "newton.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

namespace {

constexpr Index kPivotEvery = 8;    // calibrated on near-singular simulations (M7)
constexpr double kNull = 1e-6;      // eigenvalues of Psi below this share of the largest are null
constexpr double kKktSlack = 1e-5;  // of the score's size: rounding on large models reaches 1e-7
constexpr double kNewDirection = 0.01;  // variance given to a direction that the KKT test opens
constexpr Index kRestarts = 5;
constexpr double kSlow = 0.1;        // a decrement that shrinks by less asks for the exact Hessian
constexpr double kFlat = 1e-8;       // curvature per unit of scaled theta that is rounding
constexpr double kMayVanish = 0.01;  // conditional standard deviations (of sigma) tried at zero
constexpr double kNoResidual = 1e-11;  // share of y'Wy below which no digit of theta is left
constexpr double kUnbounded = 1e7;     // beyond this theta the residual variance has gone to zero

double power(double x, Index k) {
    double out = 1;
    for (Index i = 0; i < k; ++i) out *= x;
    return out;
}

double norm(const Vector& x) {
    return std::sqrt(dot(x.data(), x.data(), Index(x.size())));
}

// The step within the radius: Newton's where the Hessian is positive definite and the step fits,
// else by eigendecomposition with the shift that the radius asks for.
bool find_step(const Vector& g, const Vector& H, double radius, Step& out) {
    Vector& L = out.work;
    const Index K = static_cast<Index>(g.size());
    L = H;
    out.p.assign(K, 0.0);
    if (cholesky(L.data(), K, K)) {
        for (Index i = 0; i < K; ++i) out.p[i] = -g[i];
        solve_lower(L.data(), K, K, out.p.data());
        const double half = dot(out.p.data(), out.p.data(), K);
        solve_lower_transposed(L.data(), K, K, out.p.data());
        if (norm(out.p) <= radius) {
            out.definite = true;
            out.decrement = half;
            out.predicted = 0.5 * half;
            return true;
        }
    }
    out.p.assign(K, 0.0);
    Vector E = H, w(K), gt(K);
    if (!symmetric_eigen(E.data(), K, w.data())) return false;
    for (Index i = 0; i < K; ++i) gt[i] = dot(ptr(E, i * K), g.data(), K);
    out.smallest = w[0];
    out.largest = std::max(std::fabs(w[0]), std::fabs(w[K - 1]));
    const double unit = std::max(1.0, out.largest);
    double mu = w[0] > 1e-10 * unit ? 0 : -w[0] + 1e-8 * unit;
    const auto length = [&](double m) {
        double s = 0;
        for (Index i = 0; i < K; ++i) s += (gt[i] / (w[i] + m)) * (gt[i] / (w[i] + m));
        return std::sqrt(s);
    };
    if (length(mu) > radius) {
        double low = mu, high = std::max(2 * mu, 1e-3 * unit);
        while (length(high) > radius) high *= 4;
        for (int i = 0; i < 60; ++i) {
            const double mid = 0.5 * (low + high);
            (length(mid) > radius ? low : high) = mid;
        }
        mu = high;
    }
    out.definite = w[0] > 0;
    out.decrement = out.predicted = 0;
    for (Index i = 0; i < K; ++i) {
        const double s = -gt[i] / (w[i] + mu);
        out.decrement += gt[i] * gt[i] / (std::fabs(w[i]) + mu + 1e-300);
        out.predicted -= gt[i] * s + 0.5 * s * s * w[i];
        axpy(s, ptr(E, i * K), out.p.data(), K);
    }
    return true;
}

class Driver {
   public:
    Driver(Objective& objective, const NewtonOptions& options, NewtonWork& work)
        : objective_(objective),
          options_(options),
          layout_(objective.layout()),
          basis_(work.basis),
          x_(work.x),
          trial_(work.trial),
          now_(work.now),
          next_(work.next),
          step_(work.step) {}

    Minimum run(const Vector& start) {
        if (basis_.empty() || options_.report || basis_.size() != layout_.terms.size())
            basis_ = identity_basis(layout_);
        x_ = start;
        evaluate(x_, kAverage, now_);
        at_x_ = true;
        if (now_.status != Status::ok) return finish(Outcome::failed);
        log(now_.value, NAN, NAN, true);
        radius_ = std::max(1.0, 0.5 * norm(x_));
        for (Index iteration = 1;; ++iteration) {
            if (iteration % kPivotEvery == 0 && pivot()) evaluate(x_, order_, now_);
            if (!find_step(now_.gradient, now_.hessian, radius_, step_))
                return finish(Outcome::failed);
            if (options_.exact_tail && step_.definite && step_.decrement < 1 &&
                step_.decrement > kSlow * last_decrement_)
                order_ = kExact;
            last_decrement_ = step_.decrement;
            const double rounding = 1e-13 * std::fabs(now_.value);
            const double tolerance = std::max(options_.tolerance, rounding);
            const bool flat =
                step_.definite || step_.smallest > -std::max(kFlat, 1e-6 * step_.largest);
            if (step_.decrement < tolerance && flat) {
                if (result_.descent == 0) result_.descent = result_.evaluations;
                if (options_.polish) {
                    if (options_.exact_tail) order_ = kExact;
                    for (int i = 0; i < 4 && step_.decrement > 1e-5 * tolerance; ++i)
                        if (!polish()) break;
                }
                if (kkt_holds()) {
                    result_.kkt = true;
                    return finish(Outcome::converged);
                }
                if (restarts_++ >= kRestarts || !leave_boundary())
                    return finish(Outcome::converged);
                continue;
            }
            if (result_.evaluations >= options_.max_evaluations)
                return finish(Outcome::max_evaluations);
            // On a saddle, as where a start has variances of zero: no gradient shows the way down.
            if (!flat && step_.decrement < tolerance) {
                const bool holds = kkt_holds();
                if (restarts_++ < kRestarts && (holds ? descend() : leave_boundary())) continue;
                result_.kkt = holds;
                return finish(Outcome::converged);
            }
            if (!advance()) return finish(Outcome::no_progress);
            if (norm(x_) > kUnbounded || now_.rss < kNoResidual * options_.total)
                return finish(Outcome::unbounded);
        }
    }

   private:
    // Rounding of the value where the residual is a small part of y: that of r^2 in n log r^2. The
    // gradient has no such part.
    double noise() const {
        return now_.rss > 0 ? 1e-14 * options_.rows * options_.total / now_.rss : 0;
    }

    void log(double value, double decrement, double radius, bool accepted) {
        if (options_.report)
            result_.log.push_back({result_.evaluations, value, decrement, radius, accepted});
    }

    void evaluate(const Vector& x, int order, Evaluation& out) {
        ++result_.evaluations;
        at_x_ = false;
        objective_.evaluate(basis_, x.data(), order, out);
    }

    // One trust-region step; false when the radius has shrunk to nothing.
    bool advance() {
        trial_ = x_;
        axpy(1, step_.p.data(), trial_.data(), layout_.size);
        evaluate(trial_, order_, next_);
        const bool finite = next_.status == Status::ok;
        const double gain = finite ? now_.value - next_.value : -INFINITY;
        const double rho = gain / step_.predicted, length = norm(step_.p);
        const double rounding = 1e-12 * std::fabs(now_.value) + noise();
        const bool accept = gain >= -rounding && (rho > 1e-4 || step_.predicted < 1e-9 + rounding);
        log(next_.value, step_.decrement, radius_, accept);
        if (accept) {
            if (rho > 0.75 && length > 0.8 * radius_) radius_ *= 3;
            if (rho < 0.25) radius_ = 0.5 * length;
            std::swap(x_, trial_);
            at_x_ = true;
            std::swap(now_, next_);
            return true;
        }
        radius_ = 0.25 * length;
        return radius_ > 1e-10 * std::max(1.0, norm(x_));
    }

    // The step that has just passed the test is known: take it, if the gradient agrees.
    bool polish() {
        if (result_.evaluations >= options_.max_evaluations) return false;
        Vector trial = x_;
        axpy(1, step_.p.data(), trial.data(), layout_.size);
        evaluate(trial, order_, next_);
        const double rounding = 1e-13 * std::fabs(now_.value) + noise();
        Step after;
        const bool accept = next_.status == Status::ok && next_.value <= now_.value + rounding &&
                            find_step(next_.gradient, next_.hessian, radius_, after) &&
                            after.decrement <= step_.decrement;
        log(next_.value, step_.decrement, radius_, accept);
        if (!accept) return false;
        x_ = trial;
        at_x_ = true;
        std::swap(now_, next_);
        step_ = after;
        return true;
    }

    // Order each unstructured term's coordinates by conditional variance, so that a collapsing
    // direction sits in a trailing column, where the Hessian is 2 Q exactly.
    bool pivot() {
        bool changed = false;
        for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
            const Term& t = layout_.terms[i];
            if (t.diagonal || t.k == 1) continue;
            const Vector psi = term_psi(t, basis_[i], ptr(x_, t.theta));
            Vector left = psi;
            std::vector<Index> order(t.k);
            std::vector<bool> used(t.k, false);
            for (Index c = 0; c < t.k; ++c) {
                Index best = -1;
                for (Index a = 0; a < t.k; ++a)
                    if (!used[a] && (best < 0 || left[a + a * t.k] > left[best + best * t.k]))
                        best = a;
                used[best] = true;
                order[c] = best;
                const double d = left[best + best * t.k];
                if (!(d > 0)) continue;
                const Vector column(ptr(left, best * t.k), ptr(left, best * t.k) + t.k);
                for (Index b = 0; b < t.k; ++b)
                    axpy(-column[b] / d, column.data(), ptr(left, b * t.k), t.k);
            }
            Vector R(t.k * t.k, 0.0);
            for (Index c = 0; c < t.k; ++c) R[order[c] + c * t.k] = 1;
            if (R == basis_[i]) continue;
            basis_[i] = R;
            factor_term(t, R, psi, ptr(x_, t.theta));
            changed = pivoted_ = true;
        }
        return changed;
    }

    // Is the smallest eigenvalue of Psi certain not to be small against the largest? It is at least
    // det / trace^(k - 1).
    bool far_from_boundary(const Term& t) const {
        if (t.loose) return true;
        double det = 1, trace = 0, least = INFINITY;
        for (Index c = 0; c < t.k; ++c) {
            const double d = x_[element(t, c, c)];
            det *= d * d;
            least = std::min(least, std::fabs(d));
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                trace += x_[element(t, r, c)] * x_[element(t, r, c)];
        }
        return trace > 1e-6 && least > kMayVanish && det > 1e-5 * power(trace, t.k);
    }

    // Karush-Kuhn-Tucker over covariance matrices: on the null space of Psi_t, Q_t must not point
    // outward. A diagonal term has its own cone: Q_ii >= 0 where Psi_ii = 0.
    bool kkt_holds() {
        opened_.clear();
        for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
            const Term& t = layout_.terms[i];
            const Index K = layout_.group_k[t.group], k = t.k;
            const Vector& Q = now_.Q[t.group];
            if (far_from_boundary(t)) continue;
            const double slack = kKktSlack * std::max(now_.Q_scale[t.group], 1e-12);
            Vector psi = term_psi(t, basis_[i], ptr(x_, t.theta)), w(k);
            const auto q = [&](Index a, Index b) {
                return 0.5 * (Q[t.offset + a + (t.offset + b) * K] +
                              Q[t.offset + b + (t.offset + a) * K]);
            };
            double top = 0;
            for (Index a = 0; a < k; ++a) top = std::max(top, psi[a + a * k]);
            if (t.diagonal) {
                for (Index a = 0; a < k; ++a)
                    if (psi[a + a * k] < kNull * std::max(top, 1e-8) && q(a, a) < -slack) {
                        psi[a + a * k] += std::max(kNewDirection * top, 1e-3);
                        opened_.push_back({i, psi});
                        break;
                    }
                continue;
            }
            Vector E = psi;
            symmetric_eigen(E.data(), k, w.data());
            const double largest = std::max(w[k - 1], 1e-8);
            Index null = 0;
            while (null < k && (w[null] < kNull * largest || w[k - 1] <= 1e-8)) ++null;
            if (null == 0) continue;
            Vector N(null * null), v(null);
            for (Index b = 0; b < null; ++b)
                for (Index a = 0; a < null; ++a) {
                    double s = 0;
                    for (Index c = 0; c < k; ++c)
                        for (Index d = 0; d < k; ++d) s += E[c + a * k] * q(c, d) * E[d + b * k];
                    N[a + b * null] = s;
                }
            symmetric_eigen(N.data(), null, v.data());
            if (v[0] >= -slack) continue;
            Vector direction(k, 0.0);
            for (Index a = 0; a < null; ++a) axpy(N[a], ptr(E, a * k), direction.data(), k);
            const double size = std::max(kNewDirection * w[k - 1], 1e-3);
            for (Index b = 0; b < k; ++b)
                axpy(size * direction[b], direction.data(), ptr(psi, b * k), k);
            opened_.push_back({i, psi});
        }
        return opened_.empty();
    }

    // Down from a saddle along the most negative curvature. False where nothing lies lower: the
    // curvature was rounding, or too little to matter.
    bool descend() {
        const Index K = layout_.size;
        Vector E = now_.hessian, w(K);
        if (!symmetric_eigen(E.data(), K, w.data())) return false;
        const double rounding = 1e-13 * std::fabs(now_.value) + noise();
        for (double size = 0.3; size > 5e-4; size *= 0.3) {
            trial_ = x_;
            axpy(size, E.data(), trial_.data(), K);
            evaluate(trial_, order_, next_);
            const bool accept = next_.status == Status::ok && next_.value < now_.value - rounding;
            log(next_.value, step_.decrement, size, accept);
            if (!accept) continue;
            std::swap(x_, trial_);
            at_x_ = true;
            std::swap(now_, next_);
            radius_ = std::max(radius_, size);
            return true;
        }
        return false;
    }

    bool leave_boundary() {
        // The first share may lead a little up: the way down goes on from there. The others not.
        for (double share = 1; share > 5e-5; share *= 0.1) {
            Vector trial = x_;
            for (const auto& [i, psi] : opened_) {
                const Term& t = layout_.terms[i];
                Vector part = term_psi(t, basis_[i], ptr(x_, t.theta));
                for (std::size_t j = 0; j < part.size(); ++j) part[j] += share * (psi[j] - part[j]);
                factor_term(t, basis_[i], part, ptr(trial, t.theta));
            }
            evaluate(trial, order_, next_);
            const double most = now_.value + (share == 1 ? 1e-3 : 0);
            const bool accept = next_.status == Status::ok && next_.value < most;
            log(next_.value, NAN, radius_, accept);
            if (!accept) continue;
            x_ = trial;
            std::swap(now_, next_);
            radius_ = std::max(0.1, 0.2 * norm(x_));
            return true;
        }
        return false;
    }

    // Set to exactly zero what does not pay: the smallest conditional standard deviations first.
    // Back to the identity basis, diagonals not negative.
    void rectify() {
        for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
            const Term& t = layout_.terms[i];
            if (t.loose) {
                result_.rank.push_back(t.k);
                continue;
            }
            Vector psi = term_psi(t, basis_[i], ptr(x_, t.theta));
            Index zeros = 0;
            for (Index c = t.k; c-- > 0;) {  // trailing columns of the pivoted factor
                const double d = std::fabs(x_[element(t, c, c)]);
                if (d > kMayVanish) {
                    if (t.diagonal) continue;
                    break;
                }
                Vector trial = x_;
                for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r) trial[element(t, r, c)] = 0;
                if (trial == x_) {
                    ++zeros;
                    continue;
                }
                evaluate(trial, kValue, next_);
                const double allowed = 1e-9 + 1e-13 * std::fabs(now_.value);
                if (next_.status != Status::ok || next_.value > now_.value + allowed) {
                    if (t.diagonal) continue;
                    break;
                }
                x_ = trial;
                now_.value = next_.value;
                ++zeros;
            }
            result_.rank.push_back(t.k - zeros);
        }
        const Basis identity = identity_basis(layout_);
        for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
            const Term& t = layout_.terms[i];
            if (t.loose) continue;
            const Vector psi = term_psi(t, basis_[i], ptr(x_, t.theta));
            factor_term(t, identity[i], psi, ptr(x_, t.theta));
        }
        basis_ = identity;
    }

    // Nothing to zero and no basis to undo: columns with a negative diagonal change sign.
    void fix_signs() {
        for (const Term& t : layout_.terms) {
            result_.rank.push_back(t.k);
            if (t.loose) continue;
            for (Index c = 0; c < t.k; ++c)
                if (x_[element(t, c, c)] < 0)
                    for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                        x_[element(t, r, c)] = -x_[element(t, r, c)];
        }
    }

    Minimum finish(Outcome outcome) {
        result_.outcome = outcome;
        if (outcome == Outcome::failed) {
            result_.theta = x_;
            result_.value = now_.value;
            basis_.clear();  // it may be pivoted: not for the next one to start on
            return std::move(result_);
        }
        result_.decrement = step_.decrement;
        result_.gradient_norm = norm(now_.gradient);
        if (options_.report) {
            Vector E = now_.hessian, w(layout_.size);
            result_.min_eigenvalue = symmetric_eigen(E.data(), layout_.size, w.data()) ? w[0] : NAN;
        }
        bool inside = !pivoted_;
        for (const Term& t : layout_.terms) inside = inside && far_from_boundary(t);
        if (inside) {
            result_.evaluated = at_x_;
            fix_signs();
        } else {
            pivot();
            rectify();
        }
        result_.theta = x_;
        result_.value = now_.value;
        return std::move(result_);
    }

    Objective& objective_;
    const NewtonOptions& options_;
    const Layout& layout_;
    Basis& basis_;
    Vector &x_, &trial_;
    Evaluation &now_, &next_;
    Step& step_;
    bool pivoted_ = false, at_x_ = false;
    int order_ = kAverage;
    double radius_ = 1, last_decrement_ = INFINITY;
    Index restarts_ = 0;
    std::vector<std::pair<std::size_t, Vector>> opened_;
    Minimum result_;
};

}  // namespace

Vector term_psi(const Term& t, const Vector& basis, const double* theta) {
    Term own = t;
    own.theta = 0;
    Vector lambda(t.k * t.k, 0.0), psi(t.k * t.k, 0.0);
    for (Index c = 0; c < t.k; ++c)
        for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
            axpy(theta[element(own, r, c)], ptr(basis, r * t.k), ptr(lambda, c * t.k), t.k);
    for (Index c = 0; c < t.k; ++c)
        for (Index b = 0; b < t.k; ++b)
            axpy(lambda[b + c * t.k], ptr(lambda, c * t.k), ptr(psi, b * t.k), t.k);
    return psi;
}

void factor_term(const Term& t, const Vector& basis, const Vector& psi, double* theta) {
    Term own = t;
    own.theta = 0;
    const Index k = t.k;
    Vector inverse(k * k), half(k * k, 0.0), inner(k * k, 0.0), L(k * k);
    invert(basis.data(), k, inverse.data());
    for (Index c = 0; c < k; ++c)  // inner = basis^-1 psi basis^-T
        for (Index l = 0; l < k; ++l)
            axpy(psi[l + c * k], ptr(inverse, l * k), ptr(half, c * k), k);
    for (Index c = 0; c < k; ++c)
        for (Index l = 0; l < k; ++l)
            axpy(inverse[c + l * k], ptr(half, l * k), ptr(inner, c * k), k);
    if (t.diagonal) {
        for (Index c = 0; c < k; ++c) theta[c] = std::sqrt(std::max(0.0, inner[c + c * k]));
        return;
    }
    cholesky_semidefinite(inner.data(), k, 1e-14, L.data());
    for (Index c = 0; c < k; ++c)
        for (Index r = c; r < k; ++r) theta[element(own, r, c)] = L[r + c * k];
}

Minimum newton(Objective& objective, const Vector& start, const NewtonOptions& options,
               NewtonWork* work) {
    NewtonWork own;
    return Driver(objective, options, work ? *work : own).run(start);
}

}  // namespace pp
