#include "layout.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

namespace {
constexpr double kLog2Pi = 1.837877066409345483560659472811;
}

Basis identity_basis(const Layout& layout) {
    Basis basis;
    for (const Term& t : layout.terms) {
        Vector R(t.k * t.k, 0.0);
        for (Index i = 0; i < t.k; ++i) R[i + i * t.k] = 1;
        basis.push_back(std::move(R));
    }
    return basis;
}

Lambdas make_lambdas(const Layout& layout, const Basis& basis, const double* theta) {
    Lambdas out;
    fill_lambdas(layout, basis, theta, out);
    return out;
}

void fill_lambdas(const Layout& layout, const Basis& basis, const double* theta, Lambdas& out) {
    out.resize(layout.group_k.size());
    for (std::size_t g = 0; g < out.size(); ++g)
        out[g].assign(layout.group_k[g] * layout.group_k[g], 0.0);
    for (std::size_t i = 0; i < layout.terms.size(); ++i) {
        const Term& t = layout.terms[i];
        const Index K = layout.group_k[t.group];
        double* lambda = out[t.group].data() + t.offset * (K + 1);
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                axpy(theta[element(t, r, c)], ptr(basis[i], r * t.k), lambda + c * K, t.k);
    }
}

std::vector<Direction> make_directions(const Layout& layout, const Basis& basis) {
    std::vector<Direction> out(layout.size);
    for (std::size_t i = 0; i < layout.terms.size(); ++i) {
        const Term& t = layout.terms[i];
        const Index K = layout.group_k[t.group];
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r) {
                Direction& d = out[element(t, r, c)];
                d.group = t.group;
                d.term = static_cast<Index>(i);
                d.col = t.offset + c;
                d.v.assign(K, 0.0);
                std::copy_n(ptr(basis[i], r * t.k), t.k, d.v.begin() + t.offset);
            }
    }
    return out;
}

std::vector<Pair> psi_pairs(const Layout& layout) {
    std::vector<Pair> out;
    for (std::size_t i = 0; i < layout.terms.size(); ++i) {
        const Term& t = layout.terms[i];
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                out.push_back({t.group, t.offset + r, t.offset + c, static_cast<Index>(i)});
    }
    return out;
}

// d Psi / d theta = v lambda_col' + lambda_col v' on the pairs, a column a direction.
Vector pair_coefficients(const std::vector<Pair>& pairs, const std::vector<Direction>& directions,
                         const Lambdas& lambdas) {
    Vector out;
    for (const Direction& d : directions) {
        const double* column = ptr(lambdas[d.group], d.col * static_cast<Index>(d.v.size()));
        for (const Pair& s : pairs)
            out.push_back(s.group == d.group ? d.v[s.a] * column[s.b] + d.v[s.b] * column[s.a] : 0);
    }
    return out;
}

double objective(const Criterion& c, double logdet_L, double logdet_RX, double rss) {
    if (c.fixed_scale > 0)
        return logdet_L + static_cast<double>(c.n) * (kLog2Pi + std::log(c.fixed_scale)) +
               rss / c.fixed_scale - c.sum_log_weights;
    const double nu = c.nu();
    double value = logdet_L + nu * (1 + kLog2Pi + std::log(rss / nu)) - c.sum_log_weights;
    if (c.reml) value += logdet_RX - 2 * c.log_det_basis;
    return value;
}

void assemble(const Criterion& c, const std::vector<Direction>& directions, const Sums& sums,
              int order, Evaluation& out) {
    out.rss = sums.rss;
    const bool fixed = c.fixed_scale > 0;
    out.scale = fixed ? c.fixed_scale : sums.rss / c.nu();
    out.value = objective(c, sums.logdet_L, sums.logdet_RX, sums.rss);
    out.status = std::isfinite(out.value) ? Status::ok : Status::not_finite;
    if (order < kGradient) return;
    const Index K = static_cast<Index>(directions.size());
    const double scale = out.scale, nu = c.nu();
    out.gradient.assign(K, 0.0);
    Vector& g2 = out.work;  // y'P V_k P y
    g2.resize(K);
    for (Index i = 0; i < K; ++i) {
        const Direction& d = directions[i];
        const GroupSums& g = sums.groups[d.group];
        const Index k = static_cast<Index>(d.v.size());
        double t = 0;
        for (Index a = 0; a < k; ++a) t += g.T[d.col + a * k] * d.v[a];
        g2[i] = 2 * dot(d.v.data(), ptr(g.SU, d.col * k), k);
        out.gradient[i] = 2 * t - g2[i] / scale;
    }
    out.Q.resize(sums.groups.size());
    out.Q_scale.resize(sums.groups.size());
    for (std::size_t i = 0; i < sums.groups.size(); ++i) {
        const GroupSums& g = sums.groups[i];
        Vector& Q = out.Q[i];
        Q = g.P;
        const Index k = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(Q.size()))));
        double largest = 0;
        for (Index i = 0; i < k * k; ++i) Q[i] -= g.SS[i] / scale;
        for (Index i = 0; i < k; ++i) largest = std::max(largest, g.SS[i + i * k] / scale);
        out.Q_scale[i] = largest;
    }
    if (order == kGradient) return;
    const double factor = order == kExact ? 2 : 1;
    out.hessian.assign(K * K, 0.0);
    for (Index j = 0; j < K; ++j)
        for (Index i = 0; i < K; ++i) {
            double h = factor * sums.AI[i + j * K] / scale;
            if (!fixed) h -= g2[i] * g2[j] / (nu * scale * scale);
            if (order == kExact) h -= sums.trace[i + j * K];
            const Direction &x = directions[i], &y = directions[j];
            if (x.group == y.group && x.col == y.col) {
                const Index k = static_cast<Index>(x.v.size());
                const Vector& Q = out.Q[x.group];
                for (Index b = 0; b < k; ++b)
                    if (y.v[b] != 0) h += 2 * y.v[b] * dot(ptr(Q, b * k), x.v.data(), k);
            }
            out.hessian[i + j * K] = h;
        }
    for (Index j = 0; j < K; ++j)  // symmetric to the last bit
        for (Index i = 0; i < j; ++i)
            out.hessian[i + j * K] = out.hessian[j + i * K] =
                0.5 * (out.hessian[i + j * K] + out.hessian[j + i * K]);
}

}  // namespace pp
