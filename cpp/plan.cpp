#include "plan.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

namespace {

constexpr Index kExactColumns = 4000;  // dense columns of a nesting up to which M6 is formed
constexpr double kExactBytes = 8e9;
constexpr Index kMostPatterns = 4096;
// Evaluations of a descent that leaves no doubt: with fewer than ten levels a column of a vector
// term, only one that began at its end. Calibrated on random designs of 8 to 46 rows.
constexpr Index kEasy = 6, kAtOnce = 2;

// The engines' Objective in scaled coordinates.
class Scaled : public Objective {
   public:
    explicit Scaled(Plan& plan) : plan_(plan) {}
    const Layout& layout() const override { return plan_.layout(); }
    void evaluate(const Basis& basis, const double* theta, int order, Evaluation& out) override {
        plan_.evaluate_scaled(basis, theta, order, out);
    }

   private:
    Plan& plan_;
};

}  // namespace

Plan::Plan(std::shared_ptr<const Products> products, Layout layout, bool reml,
           std::vector<std::vector<Index>> intercepts)
    : products_(std::move(products)),
      intercepts_(std::move(intercepts)),
      layout_(std::move(layout)) {
    const Products& P = *products_;
    criterion_.reml = reml;
    criterion_.n = P.n;
    criterion_.p = P.p;
    criterion_.sum_log_weights = P.sum_log_weights;
    for (double s : P.transform.xscale) criterion_.log_det_basis -= std::log(s);
    for (Index c = 0; c < P.p && !P.transform.mix.empty(); ++c)
        criterion_.log_det_basis += std::log(std::fabs(P.transform.mix[c * (P.p + 1)]));
    for (const Term& t : layout_.terms) {
        const Index K = layout_.group_k[t.group];
        Vector full(K * K), own(t.k * t.k), inverse(t.k * t.k);
        random_basis(P.transform, t.group, K, intercepts_[t.group].data(), full.data());
        for (Index c = 0; c < t.k; ++c)
            std::copy_n(ptr(full, t.offset + (t.offset + c) * K), t.k, ptr(own, c * t.k));
        invert(own.data(), t.k, inverse.data());
        T_.push_back(std::move(own));
        T_inverse_.push_back(std::move(inverse));
    }
    if (P.groups.size() == 1) {
        // Worth it where patterns * (k w)^2 < levels * k w^2 (M10), and for memory's sake few.
        const Index k = P.groups[0].k,
                    limit = std::min<Index>((P.groups[0].levels - 1) / (2 * k), kMostPatterns);
        if (limit > 0 && PatternEngine::count(P, limit) > 0)
            patterns_ = std::make_unique<PatternEngine>(P, reml);
    }
}

Plan::Plan(const Plan& other, std::shared_ptr<const Products> products)
    : products_(std::move(products)),
      intercepts_(other.intercepts_),
      layout_(other.layout_),
      criterion_(other.criterion_),
      T_(other.T_),
      T_inverse_(other.T_inverse_),
      moments_(other.moments_) {
    if (other.patterns_) patterns_ = std::make_unique<PatternEngine>(*other.patterns_, *products_);
}

BlockEngine& Plan::blocks() {
    if (!blocks_) blocks_ = std::make_unique<BlockEngine>(products_, layout_, criterion_.reml);
    return *blocks_;
}

void Plan::evaluate_scaled(const Basis& basis, const double* theta, int order, Evaluation& out) {
    fill_lambdas(layout_, basis, theta, lambdas_);
    if (directions_.empty() || basis != basis_) {
        basis_ = basis;
        directions_ = make_directions(layout_, basis);
    }
    out.status = sums_at(lambdas_, directions_, order);
    if (out.status != Status::ok) {
        out.value = INFINITY;
        return;
    }
    assemble(criterion_, directions_, sums_, order, out);
}

Status Plan::sums_at(const Lambdas& lambdas, const std::vector<Direction>& directions, int order) {
    if (patterns_ && order < kExact && order != kSolution)
        return patterns_->evaluate(lambdas, directions, order, sums_);
    if (order == kExact && blocks().eliminated() > 1)
        return exact_engine().evaluate(lambdas, directions, order, sums_);
    const Status status = blocks().evaluate(lambdas, directions, order, sums_);
    if (status == Status::ok && order >= kSolution)
        keep_state(lambdas);
    else
        state_.clear();
    return status;
}

// The exact trace takes the groups after the first as dense columns. Where they are too many for
// that, the Hessian is differences of the exact gradient, of fourth order.
bool Plan::needs_differences() {
    if (products_->groups.size() == 1) return false;
    const auto [columns, bytes, multiplications] = exact_cost();
    return (columns > kExactColumns && blocks().eliminated() > 1) || bytes > kExactBytes;
}

Evaluation Plan::difference_hessian(const Vector& theta) {
    Evaluation out = evaluate(theta, kGradient);
    const Index K = layout_.size;
    out.hessian.assign(K * K, 0.0);
    Vector at = theta;
    for (Index j = 0; j < K; ++j) {
        const double h = 1e-3 * std::max(std::fabs(theta[j]), 0.1);
        const double weight[4] = {1, -8, 8, -1}, place[4] = {-2, -1, 1, 2};
        for (int i = 0; i < 4; ++i) {
            at[j] = theta[j] + place[i] * h;
            const Evaluation e = evaluate(at, kGradient);
            if (e.status != Status::ok) return e;
            axpy(weight[i] / (12 * h), e.gradient.data(), ptr(out.hessian, j * K), K);
        }
        at[j] = theta[j];
    }
    for (Index j = 0; j < K; ++j)
        for (Index i = 0; i < j; ++i)
            out.hessian[i + j * K] = out.hessian[j + i * K] =
                0.5 * (out.hessian[i + j * K] + out.hessian[j + i * K]);
    return out;
}

Evaluation Plan::evaluate(const Vector& theta, int order) {
    if (order == kExact && needs_differences()) return difference_hessian(theta);
    Evaluation out;
    evaluate_scaled(T_inverse_, theta.data(), order, out);
    return out;
}

// theta of the factor basis * lambda: the same covariance in other columns.
void Plan::transformed(const Vector& theta, const Basis& basis, double* out) const {
    Vector own, lower;
    for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
        const Term& t = layout_.terms[i];
        own.assign(t.k * t.k, 0.0);
        lower.resize(t.k * t.k);
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                axpy(theta[element(t, r, c)], ptr(basis[i], r * t.k), ptr(own, c * t.k), t.k);
        lower_factor(own.data(), t.k, lower.data());
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                out[element(t, r, c)] = lower[r + c * t.k];
    }
}

void Plan::to_user(const Vector& scaled, double* out) const {
    transformed(scaled, T_, out);
}

Vector Plan::to_user(const Vector& scaled) const {
    Vector out(scaled.size());
    to_user(scaled, out.data());
    return out;
}

Vector Plan::to_scaled(const Vector& user) const {
    Vector out(user.size());
    transformed(user, T_inverse_, out.data());
    return out;
}

// Of a theta in the user's coordinates.
Lambdas Plan::lambdas_at(const Vector& theta) const {
    if (!anchor_user_.empty() && theta == anchor_user_)
        return make_lambdas(layout_, identity_basis(layout_), anchor_scaled_.data());
    return make_lambdas(layout_, T_inverse_, theta.data());
}

Minimum Plan::minimise(const Vector* start, const NewtonOptions& options) {
    Minimum m = minimise_scaled(start ? to_scaled(*start) : moment_start(), options);
    if (!start && options.other_starts) try_other_starts(options, m);
    set_anchor(to_user(m.theta), m.theta);
    return m;
}

// Is a direction of some term closed, or nearly? (1e-4 as in lme4's rule; here it is only about
// where to start.)
bool Plan::is_singular(const Vector& scaled) const {
    for (const Term& t : layout_.terms)
        for (Index c = 0; c < t.k; ++c) {
            double row = 0;
            for (Index b = 0; b < (t.diagonal ? 0 : c); ++b)
                row += scaled[element(t, c, b)] * scaled[element(t, c, b)];
            const double own = std::fabs(scaled[element(t, c, c)]);
            if (own <= 1e-4 * std::max(1.0, std::sqrt(row))) return true;
        }
    return false;
}

Minimum Plan::reminimise(const Vector& theta, const NewtonOptions& options) {
    if (patterns_ || is_singular(to_scaled(theta))) return minimise(nullptr, options);
    Minimum m = minimise(&theta, options);
    if (options.other_starts && few_levels()) {
        try_other_starts(options, m);
        set_anchor(to_user(m.theta), m.theta);
    }
    if (m.outcome == Outcome::converged && m.kkt) return m;
    Minimum other = minimise(nullptr, options);
    const bool certified = other.outcome == Outcome::converged && other.kkt;
    if (certified || other.value < m.value) return other;
    set_anchor(to_user(m.theta), m.theta);
    return m;
}

bool Plan::few_levels() const {
    for (const Term& t : layout_.terms)
        if (t.k > 1 && !t.diagonal && products_->groups[t.group].levels < 10 * t.k) return true;
    return false;
}

// A criterion of few groups can have two minima, one of them on the boundary. Where the way there
// was long or ended on it, look from other starts as well.
void Plan::try_other_starts(const NewtonOptions& options, Minimum& best) {
    bool interior = best.outcome == Outcome::converged && best.kkt;
    for (std::size_t i = 0; i < layout_.terms.size(); ++i)
        interior = interior && best.rank[i] == layout_.terms[i].k;
    if (best.outcome == Outcome::unbounded || best.outcome == Outcome::max_evaluations ||
        (interior && best.descent <= (few_levels() ? kAtOnce : kEasy)))
        return;
    bool vectors = false;
    for (const Term& t : layout_.terms) vectors = vectors || (t.k > 1 && !t.diagonal);
    // The identity; then, for vector terms correlations of nearly 1 and -1, else small variances.
    for (int kind = 0; kind < (vectors ? 3 : 2); ++kind) {
        Vector start(layout_.size, 0.0);
        for (const Term& t : layout_.terms)
            for (Index c = 0; c < t.k; ++c) {
                start[element(t, c, c)] = kind == 0 || (vectors && c == 0) ? 1 : 0.1;
                if (kind > 0 && c > 0 && !t.diagonal)
                    start[element(t, c, 0)] = kind == 1 || c % 2 == 0 ? 1 : -1;
            }
        NewtonOptions rest = options;
        rest.max_evaluations = options.max_evaluations - best.evaluations;
        if (rest.max_evaluations < 1) return;
        Minimum other = minimise_scaled(start, rest);
        for (LogEntry& l : other.log) l.evaluation += best.evaluations;
        other.evaluations += best.evaluations;
        best.evaluations = other.evaluations;
        std::vector<LogEntry> log = best.log;
        log.insert(log.end(), other.log.begin(), other.log.end());
        const double rounding = 1e-9 + 1e-13 * std::fabs(best.value);
        const bool certified = other.outcome == Outcome::converged && other.kkt;
        if (certified && other.value < best.value - rounding) best = std::move(other);
        best.log = std::move(log);
    }
}

Minimum Plan::minimise_scaled(const Vector& start, const NewtonOptions& options, NewtonWork* work) {
    Scaled objective(*this);
    NewtonOptions own = options;
    own.rows = static_cast<double>(products_->n);
    own.total = patterns_ ? patterns_->total() : products_->D.back();
    return newton(objective, start, own, work);
}

// Brings the engine to these lambdas, up to signs of their columns.
bool Plan::ensure_state(const Lambdas& lambdas) {
    if (patterns_) {  // cheap enough to do again
        if (directions_.empty()) {
            basis_ = identity_basis(layout_);
            directions_ = make_directions(layout_, basis_);
        }
        const Status status = patterns_->evaluate(lambdas, directions_, kGradient, sums_);
        if (status != Status::ok) return false;
        keep_state(lambdas);
        return true;
    }
    return ensure_blocks(lambdas);
}

// The same of the block engine, whatever solves. To the last bit: what was asked of a plan before
// must not show in the answer. (A sign goes through every step exactly.)
bool Plan::ensure_blocks(const Lambdas& lambdas) {
    bool same = !state_.empty() && !patterns_;
    for (std::size_t g = 0; same && g < lambdas.size(); ++g) {
        const Index k = layout_.group_k[g];
        for (Index c = 0; same && c < k; ++c) {
            bool equal = true, opposite = true;
            for (Index r = 0; r < k; ++r) {
                const double x = lambdas[g][r + c * k], y = state_[g][r + c * k];
                equal = equal && x == y;
                opposite = opposite && x == -y;
            }
            same = equal || opposite;
        }
    }
    if (same) return true;
    const Status status = blocks().evaluate(lambdas, {}, kSolution, sums_);
    state_.clear();
    if (status == Status::ok) keep_state(lambdas);
    return status == Status::ok;
}

void Plan::keep_state(const Lambdas& lambdas) {
    state_ = lambdas;
    state_logdet_L_ = sums_.logdet_L;
    state_logdet_RX_ = sums_.logdet_RX;
    state_rss_ = sums_.rss;
}

Solution Plan::solve(const Vector& theta) {
    Solution out;
    const Lambdas lambdas = lambdas_at(theta);
    if (!ensure_state(lambdas)) return out;
    const Products& P = *products_;
    const Index p = P.p;
    out.ok = true;
    out.logdet_L = state_logdet_L_;
    out.rss = state_rss_;
    out.scale = state_rss_ / criterion_.nu();
    out.logdet_RX = state_logdet_RX_ - 2 * criterion_.log_det_basis;
    out.value = objective(criterion_, state_logdet_L_, state_logdet_RX_, state_rss_);
    Vector A(p * p), half(p * p, 0.0);
    const Vector info =
        patterns_ ? patterns_->inverse_information() : blocks().inverse_information();
    const Vector& beta = patterns_ ? patterns_->beta() : blocks().beta();
    out.beta.resize(p);
    fixed_basis(P.transform, p, A.data(), out.beta.data());
    for (Index c = 0; c < p; ++c) axpy(beta[c], ptr(A, c * p), out.beta.data(), p);
    out.information_inverse.assign(p * p, 0.0);  // A V A'
    for (Index c = 0; c < p; ++c)
        for (Index l = 0; l < p; ++l) axpy(info[l + c * p], ptr(A, l * p), ptr(half, c * p), p);
    for (Index c = 0; c < p; ++c)
        for (Index l = 0; l < p; ++l)
            axpy(A[c + l * p], ptr(half, l * p), ptr(out.information_inverse, c * p), p);
    const Lambdas plain = make_lambdas(layout_, identity_basis(layout_), theta.data());
    for (std::size_t g = 0; g < P.groups.size(); ++g) {
        const Index k = P.groups[g].k, J = P.groups[g].levels;
        const Vector s = patterns_ ? patterns_->scores(lambdas[g].data())
                                   : blocks().scores(static_cast<Index>(g)),
                     T = group_basis(g, T_), inverse = group_basis(g, T_inverse_);
        Vector b(J * k, 0.0), u(J * k, 0.0), scaled(k), work(k);
        // In scaled columns u = lambda's and b = lambda u; b of the user's columns is T b, and
        // their s is T^-T s. A row of zeros in the user's lambda gives zeros, not their rounding.
        for (Index j = 0; j < J; ++j) {
            multiply_transposed(lambdas[g], ptr(s, j * k), k, work.data());
            out.ussq += dot(work.data(), work.data(), k);
            std::fill(scaled.begin(), scaled.end(), 0.0);
            for (Index c = 0; c < k; ++c) axpy(work[c], ptr(lambdas[g], c * k), scaled.data(), k);
            for (Index c = 0; c < k; ++c) axpy(scaled[c], ptr(T, c * k), ptr(b, j * k), k);
            for (Index r = 0; r < k; ++r) {
                bool zero = true;
                for (Index c = 0; c < k; ++c) zero = zero && plain[g][r + c * k] == 0;
                if (zero) b[j * k + r] = 0;
            }
            multiply_transposed(inverse, ptr(s, j * k), k, work.data());
            multiply_transposed(plain[g], work.data(), k, ptr(u, j * k));
        }
        out.b.push_back(std::move(b));
        out.u.push_back(std::move(u));
    }
    return out;
}

// The terms' bases side by side: k x k of a group.
Vector Plan::group_basis(std::size_t group, const Basis& basis) const {
    const Index k = layout_.group_k[group];
    Vector out(k * k, 0.0);
    for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
        const Term& t = layout_.terms[i];
        if (t.group != static_cast<Index>(group)) continue;
        for (Index c = 0; c < t.k; ++c)
            std::copy_n(ptr(basis[i], c * t.k), t.k, ptr(out, t.offset + (t.offset + c) * k));
    }
    return out;
}

void Plan::multiply_transposed(const Vector& a, const double* x, Index k, double* out) {
    for (Index c = 0; c < k; ++c) out[c] = dot(ptr(a, c * k), x, k);
}

std::vector<Vector> Plan::conditional_covariances(const Vector& theta) {
    const Lambdas lambdas = lambdas_at(theta);
    if (!ensure_blocks(lambdas)) return {};
    std::vector<Vector> out = blocks().conditional_covariances();
    state_.clear();  // the selected inverse has been overwritten by the one without X
    for (std::size_t g = 0; g < out.size(); ++g) {
        const Index k = layout_.group_k[g];
        const Vector T = group_basis(g, T_);
        Vector half(k * k);
        for (Index j = 0; j < Index(out[g].size()) / (k * k); ++j) {  // T V T'
            double* V = ptr(out[g], j * k * k);
            std::fill(half.begin(), half.end(), 0.0);
            for (Index c = 0; c < k; ++c)
                for (Index l = 0; l < k; ++l)
                    axpy(V[l + c * k], ptr(T, l * k), ptr(half, c * k), k);
            std::fill_n(V, k * k, 0.0);
            for (Index c = 0; c < k; ++c)
                for (Index l = 0; l < k; ++l) axpy(T[c + l * k], ptr(half, l * k), V + c * k, k);
        }
    }
    return out;
}

Vector Plan::row_variances(const Vector& theta, Index rows, const std::vector<bool>& include,
                           const std::vector<const std::int32_t*>& levels,
                           const std::vector<Vector>& z, const double* x) {
    const Lambdas lambdas = lambdas_at(theta);
    if (!ensure_blocks(lambdas)) return Vector(rows, NAN);
    return blocks().row_variances(rows, include, levels, z, x);
}

}  // namespace pp
