#include "inference.hpp"

#include <algorithm>
#include <cmath>

#include "plan.hpp"

namespace pp {

namespace {

// The columns of a term's lower factor that are not zero.
std::vector<Index> active_columns(const Term& t, const Layout& layout, const Lambdas& lambdas) {
    const Index K = layout.group_k[t.group];
    const double* lambda = ptr(lambdas[t.group], t.offset * (K + 1));
    std::vector<double> size(t.k, 0.0);
    for (Index c = 0; c < t.k; ++c)
        for (Index r = 0; r < t.k; ++r) size[c] = std::max(size[c], std::fabs(lambda[r + c * K]));
    const double top = *std::max_element(size.begin(), size.end());
    std::vector<Index> out;
    for (Index c = 0; c < t.k; ++c)
        if (size[c] > 1e-9 * top) out.push_back(c);
    return out;
}

// Directions in which the covariance of a term moves without a change of rank: the lower triangle
// of a factor of full rank, else every element of its columns that are not zero.
std::vector<Direction> free_directions(const Layout& layout, const Lambdas& lambdas,
                                       std::vector<Index>& rank) {
    std::vector<Direction> out;
    for (std::size_t i = 0; i < layout.terms.size(); ++i) {
        const Term& t = layout.terms[i];
        const std::vector<Index> columns = active_columns(t, layout, lambdas);
        rank.push_back(static_cast<Index>(columns.size()));
        const bool full = rank.back() == t.k;
        for (Index c : columns)
            for (Index r = full || t.diagonal ? c : 0; r < (t.diagonal ? c + 1 : t.k); ++r) {
                Direction d;
                d.group = t.group;
                d.term = static_cast<Index>(i);
                d.col = t.offset + c;
                d.v.assign(layout.group_k[t.group], 0.0);
                d.v[t.offset + r] = 1;
                out.push_back(std::move(d));
            }
    }
    return out;
}

// c = a b a' of n x n matrices.
void congruence(const Vector& a, const double* b, Index n, double* c) {
    Vector half(n * n);
    for (Index j = 0; j < n; ++j)
        for (Index i = 0; i < n; ++i) {
            double v = 0;
            for (Index l = 0; l < n; ++l) v += a[i + l * n] * b[l + j * n];
            half[i + j * n] = v;
        }
    for (Index j = 0; j < n; ++j)
        for (Index i = 0; i < n; ++i) {
            double v = 0;
            for (Index l = 0; l < n; ++l) v += half[i + l * n] * a[j + l * n];
            c[i + j * n] = v;
        }
}

}  // namespace

// Of a theta in the user's coordinates: lower factors in the scaled ones.
Lambdas Plan::scaled_factors(const Vector& theta) const {
    const bool anchored = !anchor_user_.empty() && theta == anchor_user_;
    const Vector scaled = anchored ? anchor_scaled_ : to_scaled(theta);
    return make_lambdas(layout_, identity_basis(layout_), scaled.data());
}

// The engine that eliminates one group, whatever solves.
BlockEngine& Plan::exact_engine() {
    if (blocks().eliminated() == 1) return blocks();
    if (!exact_) exact_ = std::make_unique<BlockEngine>(products_, layout_, criterion_.reml, true);
    return *exact_;
}

// Differences, of fourth order, of the gradient along the directions.
bool Plan::difference_along(const Lambdas& lambdas, const std::vector<Direction>& directions,
                            Vector& hessian) {
    const Index K = static_cast<Index>(directions.size());
    hessian.assign(K * K, 0.0);
    Evaluation e;
    for (Index j = 0; j < K; ++j) {
        const Direction& d = directions[j];
        const Index k = static_cast<Index>(d.v.size());
        double size = 0;
        for (Index a = 0; a < k; ++a)
            size = std::max(size, std::fabs(lambdas[d.group][a + d.col * k]));
        const double h = 1e-3 * std::max(size, 0.1), weight[4] = {1, -8, 8, -1},
                     place[4] = {-2, -1, 1, 2};
        for (int i = 0; i < 4; ++i) {
            Lambdas at = lambdas;
            axpy(place[i] * h, d.v.data(), ptr(at[d.group], d.col * k), k);
            if (blocks().evaluate(at, directions, kGradient, sums_) != Status::ok) return false;
            assemble(criterion_, directions, sums_, kGradient, e);
            axpy(weight[i] / (12 * h), e.gradient.data(), ptr(hessian, j * K), K);
        }
    }
    for (Index j = 0; j < K; ++j)
        for (Index i = 0; i < j; ++i)
            hessian[i + j * K] = hessian[j + i * K] =
                0.5 * (hessian[i + j * K] + hessian[j + i * K]);
    return true;
}

Derivatives Plan::derivatives(const Vector& theta) {
    Derivatives out;
    const Lambdas lambdas = scaled_factors(theta);
    const std::vector<Direction> directions = free_directions(layout_, lambdas, out.rank);
    const bool differences = needs_differences();
    BlockEngine& engine = differences ? blocks() : exact_engine();
    const int order = differences ? kGradient : kExact;
    if (&engine == blocks_.get()) state_.clear();
    if (engine.evaluate(lambdas, directions, order, sums_) != Status::ok) return out;
    Evaluation e;
    assemble(criterion_, directions, sums_, order, e);
    out.scale = e.scale;
    for (double g : e.work) out.slope.push_back(-g / e.scale);
    for (const Direction& d : directions) out.term.push_back(d.term);

    const std::vector<Pair> pairs = psi_pairs(layout_);
    const Index p = products_->p, pp = p * p, M = static_cast<Index>(pairs.size());
    const Vector B = fixed_squares(pairs, layout_, engine.fixed_scores(), p),
                 d = pair_coefficients(pairs, directions, lambdas),
                 C = engine.inverse_information();
    Vector sum(pp), inner(pp);
    for (std::size_t i = 0; i < directions.size(); ++i) {
        std::fill(sum.begin(), sum.end(), 0.0);
        for (Index x = 0; x < M; ++x)
            axpy(d[x + static_cast<Index>(i) * M], ptr(B, x * pp), sum.data(), pp);
        congruence(C, sum.data(), p, inner.data());
        out.covariance.insert(out.covariance.end(), inner.begin(), inner.end());
    }
    out.hessian = std::move(e.hessian);
    out.ok = !differences || difference_along(lambdas, directions, out.hessian);
    return out;
}

KenwardRogerParts Plan::kenward_roger(const Vector& theta) {
    KenwardRogerParts out;
    const Lambdas lambdas = scaled_factors(theta);
    BlockEngine engine(products_, layout_, false, true);  // V^-1 in place of P: traces as for ML
    Sums sums;
    if (engine.evaluate(lambdas, {}, kAverage, sums) != Status::ok) return out;
    const Index p = products_->p;
    out.ok = true;
    out.scale = sums.rss / criterion_.nu();
    out.basis.resize(p * p);
    Vector pilot(p);
    fixed_basis(products_->transform, p, out.basis.data(), pilot.data());
    out.information_inverse = engine.inverse_information();
    const std::vector<Pair> pairs = psi_pairs(layout_);
    for (const Pair& s : pairs) {
        const Index k = layout_.group_k[s.group];
        const Vector &lambda = lambdas[s.group], &T = sums.groups[s.group].P;
        double psi = 0;
        for (Index c = 0; c < k; ++c) psi += lambda[s.a + c * k] * lambda[s.b + c * k];
        out.psi.push_back(psi);
        out.t1.push_back(s.a == s.b ? T[s.a + s.a * k] : T[s.a + s.b * k] + T[s.b + s.a * k]);
        out.term.push_back(s.term);
    }
    const std::vector<Vector> scores = engine.fixed_scores();
    out.B = fixed_squares(pairs, layout_, scores, p);
    out.Q = engine.score_products(pairs, scores);
    out.t2 = engine.pair_traces(pairs);
    return out;
}

// Dense columns, memory (bytes) and multiplications of the exact traces.
std::array<double, 3> Plan::exact_cost() const {
    double all = 0, most = 0, own = 0;
    for (std::size_t g = 0; g < products_->groups.size(); ++g) {
        const GroupProducts& G = products_->groups[g];
        const double effects = static_cast<double>(G.levels * G.k);
        all += effects;
        if (effects <= most) continue;
        most = effects;
        own = 0;
        for (const Pair& s : psi_pairs(layout_)) own += s.group == static_cast<Index>(g);
    }
    const double q = all - most, m = q + static_cast<double>(products_->p);
    return {q, 8 * (4 + 2 * own) * m * m, 2 * (2 + 2 * own) * m * m * m};
}

}  // namespace pp
