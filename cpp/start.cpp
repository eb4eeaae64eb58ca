// Starting values by moments: Haseman & Elston's regression, MINQUE(0) from cross-products (M9).
#include <algorithm>
#include <cmath>

#include "plan.hpp"

namespace pp {

namespace {

constexpr double kLeastResidual = 1e-4;  // share of the total variance left to the residual
constexpr double kFloor = 0.02;  // calibrated: share of the largest eigenvalue kept at the start

// One unknown: an element (a, b) of a term's covariance matrix, in the columns of its group.
struct Unknown {
    Index group, a, b;
};

// Everything about one group that the moments need: D_j = C_X,j R with R R' = (X'WX)^-1.
struct GroupMoments {
    Vector D;      // levels x (k x p)
    Vector P;      // sum_j D_j (x) D_j: [(a, x), (b, y)]
    Vector trace;  // sum_j G~_jj, k x k
};

// M[a, b, c, d] = sum over pairs of levels of G~[a, c] G~[b, d].
class Pairing {
   public:
    Pairing(Index k, Index l, Index p) : k_(k), l_(l), p_(p), M_(k * k * l * l, 0.0), DD_(k * l) {}

    void add_block(const double* G, const double* Dj, const double* Dl, bool transposed) {
        Vector& A = block_;
        A.resize(k_ * l_);
        for (Index c = 0; c < l_; ++c)
            for (Index a = 0; a < k_; ++a)
                A[a + c * k_] = transposed ? G[c + a * l_] : G[a + c * k_];
        std::fill(DD_.begin(), DD_.end(), 0.0);
        for (Index x = 0; x < p_; ++x)
            for (Index c = 0; c < l_; ++c) axpy(Dl[c + x * l_], Dj + x * k_, ptr(DD_, c * k_), k_);
        for (Index d = 0; d < l_; ++d)
            for (Index c = 0; c < l_; ++c)
                for (Index b = 0; b < k_; ++b) {
                    const double f = A[b + d * k_] - DD_[b + d * k_], g = -A[b + d * k_];
                    double* out = ptr(M_, (b + (c + d * l_) * k_) * k_);
                    for (Index a = 0; a < k_; ++a)
                        out[a] += A[a + c * k_] * f + DD_[a + c * k_] * g;
                }
    }

    void add_products(const Vector& Pg, const Vector& Ph) {
        const Index kp = k_ * p_, lp = l_ * p_;
        for (Index d = 0; d < l_; ++d)
            for (Index c = 0; c < l_; ++c)
                for (Index b = 0; b < k_; ++b)
                    for (Index a = 0; a < k_; ++a) {
                        double v = 0;
                        for (Index y = 0; y < p_; ++y)
                            for (Index x = 0; x < p_; ++x)
                                v += Pg[a + x * k_ + (b + y * k_) * kp] *
                                     Ph[c + x * l_ + (d + y * l_) * lp];
                        M_[a + (b + (c + d * l_) * k_) * k_] += v;
                    }
    }

    double operator()(Index a, Index b, Index c, Index d) const {
        return M_[a + (b + (c + d * l_) * k_) * k_];
    }

   private:
    Index k_, l_, p_;
    Vector M_, DD_, block_;
};

GroupMoments moments(const GroupProducts& g, Index p, const Vector& L) {
    GroupMoments out;
    const Index k = g.k, kp = k * p;
    out.D.resize(g.levels * kp);
    out.P.assign(kp * kp, 0.0);
    out.trace.assign(k * k, 0.0);
    Vector row(p);
    for (Index j = 0; j < g.levels; ++j) {
        const double* C = ptr(g.C, j * k * (p + 1));
        double* D = ptr(out.D, j * kp);
        for (Index a = 0; a < k; ++a) {
            for (Index x = 0; x < p; ++x) row[x] = C[a + x * k];
            solve_lower(L.data(), p, p, row.data());
            for (Index x = 0; x < p; ++x) D[a + x * k] = row[x];
        }
        for (Index c = 0; c < kp; ++c) axpy(D[c], D, ptr(out.P, c * kp), kp);
        for (Index b = 0; b < k; ++b)
            for (Index a = 0; a < k; ++a) {
                double v = g.G[(j * k + b) * k + a];
                for (Index x = 0; x < p; ++x) v -= D[a + x * k] * D[b + x * k];
                out.trace[a + b * k] += v;
            }
    }
    return out;
}

std::vector<Unknown> list_unknowns(const Layout& layout) {
    std::vector<Unknown> out;
    for (const Term& t : layout.terms)
        for (Index b = 0; b < t.k; ++b)
            for (Index a = b; a < (t.diagonal ? b + 1 : t.k); ++a)
                out.push_back({t.group, t.offset + a, t.offset + b});
    return out;
}

// Minimum-norm inverse of a symmetric matrix after scaling to a unit diagonal.
Vector invert_symmetric(Vector A, Index n) {
    Vector d(n), w(n), out(n * n, 0.0);
    for (Index i = 0; i < n; ++i) d[i] = A[i + i * n] > 0 ? 1 / std::sqrt(A[i + i * n]) : 0;
    for (Index c = 0; c < n; ++c)
        for (Index i = 0; i < n; ++i) A[i + c * n] *= d[i] * d[c];
    if (!symmetric_eigen(A.data(), n, w.data())) return out;
    for (Index i = 0; i < n; ++i) {
        if (!(w[i] > 1e-10 * w[n - 1])) continue;
        for (Index c = 0; c < n; ++c)
            axpy(A[c + i * n] / w[i] * d[c], ptr(A, i * n), ptr(out, c * n), n);
    }
    for (Index c = 0; c < n; ++c)
        for (Index i = 0; i < n; ++i) out[i + c * n] *= d[i];
    return out;
}

// The lower factor of psi as theta, on the identity basis.
void factor_plain(const Term& t, const Vector& psi, double* theta) {
    Term own = t;
    own.theta = 0;
    if (t.k == 1) {
        theta[0] = std::sqrt(std::max(0.0, psi[0]));
        return;
    }
    Vector L(t.k * t.k);
    cholesky_semidefinite(psi.data(), t.k, 1e-14, L.data());
    for (Index c = 0; c < t.k; ++c)
        for (Index r = c; r < t.k; ++r) theta[element(own, r, c)] = L[r + c * t.k];
}

// The nearest covariance matrix with eigenvalues in [kFloor * largest, 1e6], as theta.
void project(const Term& t, Vector& psi, double* theta) {
    const Index k = t.k;
    if (t.diagonal) {
        double top = 1e-3;
        for (Index i = 0; i < k; ++i) top = std::max(top, psi[i + i * k]);
        for (Index i = 0; i < k; ++i)
            psi[i + i * k] = std::min(std::max(psi[i + i * k], kFloor * top), 1e6);
        for (Index i = 0; i < k; ++i) theta[i] = std::sqrt(psi[i + i * k]);
        return;
    }
    const auto inside = [&](double smallest, double largest) {
        return smallest >= kFloor * std::max(largest, 1e-3) && largest <= 1e6;
    };
    if (k <= 2) {  // eigenvalues in closed form
        const double half = 0.5 * (psi[0] + psi[k * k - 1]),
                     spread = k == 1 ? 0 : std::hypot(0.5 * (psi[0] - psi[3]), psi[1]);
        if (inside(half - spread, half + spread)) return factor_plain(t, psi, theta);
    }
    Vector E = psi, w(k), fixed(k * k, 0.0);
    if (!symmetric_eigen(E.data(), k, w.data())) return;  // theta stays at the identity
    const double top = std::max(w[k - 1], 1e-3);
    if (inside(w[0], w[k - 1])) return factor_plain(t, psi, theta);  // to the last bit
    for (Index i = 0; i < k; ++i) {
        const double v = std::min(std::max(w[i], kFloor * top), 1e6);
        for (Index c = 0; c < k; ++c) axpy(v * E[c + i * k], ptr(E, i * k), ptr(fixed, c * k), k);
    }
    factor_plain(t, fixed, theta);
}

}  // namespace

// The moment equations' matrix does not depend on y: its inverse is kept.
const MomentEquations& Plan::moment_equations() {
    if (moments_) return *moments_;
    auto out = std::make_shared<MomentEquations>();
    const Products& P = *products_;
    const Index p = P.p, w = p + 1, n = P.n;
    out->L.assign(p * p, 0.0);
    for (Index c = 0; c < p; ++c) std::copy_n(ptr(P.D, c * w), p, ptr(out->L, c * p));
    out->usable = cholesky(out->L.data(), p, p);
    moments_ = out;
    if (!out->usable) return *moments_;

    std::vector<GroupMoments> m;
    for (const GroupProducts& g : P.groups) m.push_back(moments(g, p, out->L));
    const std::vector<Unknown> unknowns = list_unknowns(layout_);
    const Index K = static_cast<Index>(unknowns.size()), N = K + 1;
    Vector A(N * N, 0.0);
    const auto fill = [&](Index g, Index h, const Pairing& M) {
        for (Index i = 0; i < K; ++i)
            for (Index j = 0; j < K; ++j) {
                const Unknown &x = unknowns[i], &y = unknowns[j];
                if (x.group != g || y.group != h) continue;
                double v = M(x.a, x.b, y.a, y.b) + M(x.a, x.b, y.b, y.a) + M(x.b, x.a, y.a, y.b) +
                           M(x.b, x.a, y.b, y.a);
                if (x.a == x.b) v *= 0.5;
                if (y.a == y.b) v *= 0.5;
                A[i + j * N] = A[j + i * N] = v;
            }
    };
    for (std::size_t g = 0; g < P.groups.size(); ++g) {
        const GroupProducts& G = P.groups[g];
        Pairing own(G.k, G.k, p);
        for (Index j = 0; j < G.levels; ++j) {
            const double* D = ptr(m[g].D, j * G.k * p);
            own.add_block(ptr(G.G, j * G.k * G.k), D, D, false);
        }
        own.add_products(m[g].P, m[g].P);
        fill(Index(g), Index(g), own);
    }
    for (const PairProducts& pair : P.pairs) {
        const Index ka = P.groups[pair.a].k, kb = P.groups[pair.b].k;
        Pairing both(ka, kb, p);
        for (Index j = 0; j < P.groups[pair.a].levels; ++j)
            for (Index s = pair.start[j]; s < pair.start[j + 1]; ++s)
                both.add_block(ptr(pair.B, s * ka * kb), ptr(m[pair.a].D, j * ka * p),
                               ptr(m[pair.b].D, Index(pair.level[s]) * kb * p), false);
        both.add_products(m[pair.a].P, m[pair.b].P);
        fill(pair.a, pair.b, both);
    }
    for (Index i = 0; i < K; ++i) {
        const Unknown& x = unknowns[i];
        const double twice = x.a == x.b ? 1 : 2;
        A[i + K * N] = A[K + i * N] = twice * m[x.group].trace[x.a + x.b * P.groups[x.group].k];
    }
    A[K + K * N] = static_cast<double>(n - p);
    out->inverse = invert_symmetric(std::move(A), N);
    return *moments_;
}

// From s_j = Z_j'W(y - X b) of every group and the residual sum of squares of least squares.
void Plan::moment_start(const std::vector<Vector>& s, double rss, Vector& theta) {
    theta.assign(layout_.size, 0.0);
    for (const Term& t : layout_.terms)
        for (Index c = 0; c < t.k; ++c) theta[element(t, c, c)] = 1;
    const MomentEquations& equations = moment_equations();
    if (!equations.usable) return;
    const Index K = layout_.size, N = K + 1;
    Vector& work = moment_work_;
    work.assign(2 * N, 0.0);
    double *r = work.data(), *solution = r + N;
    Index at = 0;
    for (const Term& t : layout_.terms) {
        const Index k = layout_.group_k[t.group];
        const Vector& sg = s[t.group];
        for (Index b = 0; b < t.k; ++b)
            for (Index a = b; a < (t.diagonal ? b + 1 : t.k); ++a, ++at) {
                double v = 0;
                for (std::size_t j = 0; j < sg.size(); j += static_cast<std::size_t>(k))
                    v += sg[j + t.offset + a] * sg[j + t.offset + b];
                r[at] = a == b ? v : 2 * v;
            }
    }
    r[K] = rss;
    for (Index c = 0; c < N; ++c) axpy(r[c], ptr(equations.inverse, c * N), solution, N);
    const Index freedom = std::max<Index>(products_->n - products_->p, 1);
    const double least = kLeastResidual * rss / static_cast<double>(freedom);
    const double scale = std::max(solution[K], least);
    if (!(scale > 0)) return;
    at = 0;
    Vector& psi = moment_psi_;
    for (const Term& t : layout_.terms) {
        psi.assign(t.k * t.k, 0.0);
        for (Index b = 0; b < t.k; ++b)
            for (Index a = b; a < (t.diagonal ? b + 1 : t.k); ++a, ++at)
                psi[a + b * t.k] = psi[b + a * t.k] = solution[at] / scale;
        project(t, psi, ptr(theta, t.theta));
    }
}

Vector Plan::moment_start() {
    const Products& P = *products_;
    const Index p = P.p, w = p + 1;
    const MomentEquations& equations = moment_equations();
    Vector beta(p);
    double rss = P.D[w * w - 1];
    if (equations.usable) {
        for (Index c = 0; c < p; ++c) beta[c] = P.D[c + p * w];
        solve_lower(equations.L.data(), p, p, beta.data());
        rss -= dot(beta.data(), beta.data(), p);
        solve_lower_transposed(equations.L.data(), p, p, beta.data());
    }
    std::vector<Vector> s;
    for (const GroupProducts& g : P.groups) {
        Vector sg(g.levels * g.k);
        for (Index j = 0; j < g.levels; ++j) {
            const double* C = ptr(g.C, j * g.k * w);
            std::copy_n(C + p * g.k, g.k, ptr(sg, j * g.k));
            for (Index x = 0; x < p; ++x) axpy(-beta[x], C + x * g.k, ptr(sg, j * g.k), g.k);
        }
        s.push_back(std::move(sg));
    }
    Vector theta;
    moment_start(s, rss, theta);
    return theta;
}

}  // namespace pp
