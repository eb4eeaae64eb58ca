// Starting values by moments: Haseman & Elston's regression, MINQUE(0) from cross-products (M9).
#include <algorithm>
#include <cmath>

#include "plan.hpp"

namespace pp {

namespace {

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
    Vector ss;     // sum_j s_j s_j', k x k
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
            for (Index c = 0; c < l_; ++c) axpy(Dl[c + x * l_], Dj + x * k_, &DD_[c * k_], k_);
        for (Index d = 0; d < l_; ++d)
            for (Index c = 0; c < l_; ++c)
                for (Index b = 0; b < k_; ++b) {
                    const double f = A[b + d * k_] - DD_[b + d * k_], g = -A[b + d * k_];
                    double* out = &M_[(b + (c + d * l_) * k_) * k_];
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

GroupMoments moments(const GroupProducts& g, Index p, const Vector& L, const Vector& beta) {
    GroupMoments out;
    const Index k = g.k, kp = k * p;
    out.D.resize(g.levels * kp);
    out.P.assign(kp * kp, 0.0);
    out.trace.assign(k * k, 0.0);
    out.ss.assign(k * k, 0.0);
    Vector row(p), s(k);
    for (Index j = 0; j < g.levels; ++j) {
        const double* C = &g.C[j * k * (p + 1)];
        double* D = &out.D[j * kp];
        for (Index a = 0; a < k; ++a) {
            for (Index x = 0; x < p; ++x) row[x] = C[a + x * k];
            solve_lower(L.data(), p, p, row.data());
            for (Index x = 0; x < p; ++x) D[a + x * k] = row[x];
            s[a] = C[a + p * k];
            for (Index x = 0; x < p; ++x) s[a] -= C[a + x * k] * beta[x];
        }
        for (Index c = 0; c < kp; ++c) axpy(D[c], D, &out.P[c * kp], kp);
        for (Index b = 0; b < k; ++b)
            for (Index a = 0; a < k; ++a) {
                double v = g.G[(j * k + b) * k + a];
                for (Index x = 0; x < p; ++x) v -= D[a + x * k] * D[b + x * k];
                out.trace[a + b * k] += v;
                out.ss[a + b * k] += s[a] * s[b];
            }
    }
    return out;
}

// Minimum-norm solution of a symmetric system after scaling to a unit diagonal.
Vector solve_symmetric(Vector A, Vector r, Index n) {
    Vector d(n), w(n), x(n, 0.0);
    for (Index i = 0; i < n; ++i) d[i] = A[i + i * n] > 0 ? 1 / std::sqrt(A[i + i * n]) : 0;
    for (Index c = 0; c < n; ++c)
        for (Index i = 0; i < n; ++i) A[i + c * n] *= d[i] * d[c];
    for (Index i = 0; i < n; ++i) r[i] *= d[i];
    if (!symmetric_eigen(A.data(), n, w.data())) return x;
    for (Index i = 0; i < n; ++i)
        if (w[i] > 1e-10 * w[n - 1])
            axpy(dot(&A[i * n], r.data(), n) / w[i], &A[i * n], x.data(), n);
    for (Index i = 0; i < n; ++i) x[i] *= d[i];
    return x;
}

// The nearest covariance matrix with eigenvalues in [kFloor * largest, 1e6], as theta.
void project(const Term& t, Vector psi, double* theta) {
    const Index k = t.k;
    Vector identity(k * k, 0.0);
    for (Index i = 0; i < k; ++i) identity[i + i * k] = 1;
    if (t.diagonal) {
        double top = 1e-3;
        for (Index i = 0; i < k; ++i) top = std::max(top, psi[i + i * k]);
        for (Index i = 0; i < k; ++i)
            psi[i + i * k] = std::min(std::max(psi[i + i * k], kFloor * top), 1e6);
        Term own = t;
        own.theta = 0;
        factor_term(own, identity, psi, theta);
        return;
    }
    Vector E = psi, w(k), fixed(k * k, 0.0);
    if (!symmetric_eigen(E.data(), k, w.data())) {
        factor_term(t, identity, identity, theta);
        return;
    }
    const double top = std::max(w[k - 1], 1e-3);
    if (w[0] >= kFloor * top && w[k - 1] <= 1e6) {  // inside: leave it to the last bit
        factor_term(t, identity, psi, theta);
        return;
    }
    for (Index i = 0; i < k; ++i) {
        const double v = std::min(std::max(w[i], kFloor * top), 1e6);
        for (Index c = 0; c < k; ++c) axpy(v * E[c + i * k], &E[i * k], &fixed[c * k], k);
    }
    factor_term(t, identity, fixed, theta);
}

}  // namespace

Vector Plan::moment_start() const {
    const Products& P = *products_;
    const Index p = P.p, w = p + 1, n = P.n;
    Vector theta(layout_.size, 0.0);
    for (const Term& t : layout_.terms)
        for (Index c = 0; c < t.k; ++c) theta[element(t, c, c)] = 1;
    Vector L(p * p, 0.0), beta(p);
    for (Index c = 0; c < p; ++c) std::copy_n(&P.D[c * w], p, &L[c * p]);
    if (!cholesky(L.data(), p, p)) return theta;
    for (Index c = 0; c < p; ++c) beta[c] = P.D[c + p * w];
    solve_lower(L.data(), p, p, beta.data());
    const double rss = P.D[w * w - 1] - dot(beta.data(), beta.data(), p);
    solve_lower_transposed(L.data(), p, p, beta.data());

    std::vector<GroupMoments> m;
    for (const GroupProducts& g : P.groups) m.push_back(moments(g, p, L, beta));
    std::vector<Unknown> unknowns;
    for (const Term& t : layout_.terms)
        for (Index b = 0; b < t.k; ++b)
            for (Index a = b; a < (t.diagonal ? b + 1 : t.k); ++a)
                unknowns.push_back({t.group, t.offset + a, t.offset + b});
    const Index K = static_cast<Index>(unknowns.size()), N = K + 1;
    Vector A(N * N, 0.0), r(N, 0.0);
    const auto fill = [&](Index g, Index h, const Pairing& M) {
        for (Index i = 0; i < K; ++i)
            for (Index j = 0; j < K; ++j) {
                const Unknown &x = unknowns[i], &y = unknowns[j];
                if (x.group != g || y.group != h) continue;
                double v = M(x.a, x.b, y.a, y.b) + M(x.a, x.b, y.b, y.a) +
                           M(x.b, x.a, y.a, y.b) + M(x.b, x.a, y.b, y.a);
                if (x.a == x.b) v *= 0.5;
                if (y.a == y.b) v *= 0.5;
                A[i + j * N] = A[j + i * N] = v;
            }
    };
    for (std::size_t g = 0; g < P.groups.size(); ++g) {
        const GroupProducts& G = P.groups[g];
        Pairing own(G.k, G.k, p);
        for (Index j = 0; j < G.levels; ++j) {
            const double* D = &m[g].D[j * G.k * p];
            own.add_block(&G.G[j * G.k * G.k], D, D, false);
        }
        own.add_products(m[g].P, m[g].P);
        fill(Index(g), Index(g), own);
    }
    for (const PairProducts& pair : P.pairs) {
        const Index ka = P.groups[pair.a].k, kb = P.groups[pair.b].k;
        Pairing both(ka, kb, p);
        for (Index j = 0; j < P.groups[pair.a].levels; ++j)
            for (Index s = pair.start[j]; s < pair.start[j + 1]; ++s)
                both.add_block(&pair.B[s * ka * kb], &m[pair.a].D[j * ka * p],
                               &m[pair.b].D[Index(pair.level[s]) * kb * p], false);
        both.add_products(m[pair.a].P, m[pair.b].P);
        fill(pair.a, pair.b, both);
    }
    for (Index i = 0; i < K; ++i) {
        const Unknown& x = unknowns[i];
        const Index k = P.groups[x.group].k;
        const double twice = x.a == x.b ? 1 : 2;
        A[i + K * N] = A[K + i * N] = twice * m[x.group].trace[x.a + x.b * k];
        r[i] = twice * m[x.group].ss[x.a + x.b * k];
    }
    A[K + K * N] = static_cast<double>(n - p);
    r[K] = rss;
    const Vector solution = solve_symmetric(A, r, N);
    const double total = rss / static_cast<double>(std::max<Index>(n - p, 1));
    double scale = solution[K];
    if (!(scale > 0.05 * total)) scale = 0.05 * total;
    if (!(scale > 0)) return theta;
    std::size_t at = 0;
    for (const Term& t : layout_.terms) {
        Vector psi(t.k * t.k, 0.0);
        for (Index b = 0; b < t.k; ++b)
            for (Index a = b; a < (t.diagonal ? b + 1 : t.k); ++a, ++at)
                psi[a + b * t.k] = psi[b + a * t.k] = solution[at] / scale;
        project(t, psi, &theta[t.theta]);
    }
    return theta;
}

}  // namespace pp
