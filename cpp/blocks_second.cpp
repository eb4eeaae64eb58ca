// Second-order quantities of the block engine: average information, and variances of rows and
// levels (docs/math.md, M5, M12).
#include <algorithm>
#include <cmath>

#include "blocks.hpp"
#include "level.hpp"

namespace pp {

namespace {

std::vector<Index> parameters(const std::vector<Direction>& directions, Index group) {
    std::vector<Index> out;
    for (std::size_t i = 0; i < directions.size(); ++i)
        if (directions[i].group == group) out.push_back(static_cast<Index>(i));
    return out;
}

// a_k of one level: V_k P y = Z a_k, a_k = v u[col] + lambda[:, col] (v's).
void working_vector(const Direction& d, const double* lambda, const double* u, const double* s,
                    double* a) {
    const Index k = static_cast<Index>(d.v.size());
    const double f = dot(d.v.data(), s, k), w = u[d.col];
    for (Index i = 0; i < k; ++i) a[i] = d.v[i] * w + lambda[i + d.col * k] * f;
}

}  // namespace

// a_k'Z'PZ a_l. Group after group in the order of elimination: `carried` holds what the working
// vectors of groups eliminated before have left in the rows of the groups to come.
void BlockEngine::average(const std::vector<Direction>& directions, Sums& sums) {
    const Index K = static_cast<Index>(directions.size()), ma = q_ + p_;
    sums.AI.assign(K * K, 0.0);
    Vector& AI = sums.AI;
    Vector V(ma * K, 0.0);
    std::vector<Vector> carried(steps_.size());
    for (std::size_t f = 1; f < steps_.size(); ++f)
        carried[f].assign(steps_[f].levels * steps_[f].k * K, 0.0);
    std::vector<Index> before;
    for (std::size_t e = 0; e < steps_.size(); ++e) {
        const Eliminated& E = steps_[e];
        const Index k = E.k, kk = k * k;
        const double* lambda = lambdas_[E.group].data();
        const std::vector<Index> own = parameters(directions, E.group);
        std::vector<Index> active = before;  // columns with something in this level
        active.insert(active.end(), own.begin(), own.end());
        const Index n0 = static_cast<Index>(before.size()), n1 = static_cast<Index>(own.size()),
                    n = n0 + n1;
        Vector a(k * n1), Da(k * n1), c(k * n), w(k * n0), t(k);
        const double *G = gram(e), *B = coupling(e);
        for (Index j = 0; j < E.levels; ++j) {
            const double *Pi = ptr(E.Pi, j * kk), *P = ptr(E.P, j * kk);
            // c: what multiplies the coupling: Pi a of its own, -K v of what was carried here.
            for (Index i = 0; i < n0; ++i) {
                const double* v = ptr(carried[e], (j * K + before[i]) * k);
                std::copy_n(v, k, ptr(w, i * k));
                multiply<0>(P, v, t.data(), k, 1);
                multiply_tn<0>(P, t.data(), ptr(c, i * k), k, k, 1);
                for (Index x = 0; x < k; ++x) c[i * k + x] = -c[i * k + x];
            }
            for (Index i = 0; i < n1; ++i) {
                working_vector(directions[own[i]], lambda, ptr(E.u, j * k), ptr(E.s, j * k),
                               ptr(a, i * k));
                multiply_tn<0>(Pi, ptr(a, i * k), ptr(c, (n0 + i) * k), k, k, 1);
                multiply<0>(G + j * kk, ptr(c, (n0 + i) * k), ptr(Da, i * k), k, 1);
            }
            for (Index y = 0; y < n1; ++y) {
                for (Index x = 0; x < n1; ++x)
                    AI[own[x] + own[y] * K] += dot(ptr(a, x * k), ptr(Da, y * k), k);
                for (Index x = 0; x < n0; ++x) {
                    const double v = dot(ptr(w, x * k), ptr(c, (n0 + y) * k), k);
                    AI[before[x] + own[y] * K] += v;
                    AI[own[y] + before[x] * K] += v;
                }
            }
            for (Index y = 0; y < n0; ++y)
                for (Index x = 0; x < n0; ++x)
                    AI[before[x] + before[y] * K] += dot(ptr(w, x * k), ptr(c, y * k), k);
            const Index nd = E.columns(j);
            const double* Bj = B + E.at(j, width_);
            for (Index i = 0; i < n; ++i) {
                double* out = ptr(V, active[i] * ma);
                const double* ci = ptr(c, i * k);
                for (Index x = 0; x < nd; ++x) {
                    double v = 0;
                    for (Index l = 0; l < k; ++l) v += Bj[x * k + l] * ci[l];
                    out[E.column[E.start[j] + x]] += v;
                }
                for (Index x = 0; x < p_; ++x) {
                    double v = 0;
                    for (Index l = 0; l < k; ++l) v += Bj[(nd + x) * k + l] * ci[l];
                    out[q_ + x] += v;
                }
            }
            for (std::size_t f = e + 1; f < steps_.size(); ++f) {
                const Index l = E.parent[f][j], kf = steps_[f].k;
                if (l < 0) continue;
                const double* A = parents(e, f) + j * k * kf;
                for (Index i = 0; i < n; ++i)
                    for (Index x = 0; x < kf; ++x)
                        carried[f][(l * K + active[i]) * kf + x] +=
                            dot(A + x * k, ptr(c, i * k), k);
            }
        }
        before = active;
    }
    for (const DenseGroup& d : dense_) {
        const std::vector<Index> own = parameters(directions, d.group);
        const double* lambda = lambdas_[d.group].data();
        const Index size = d.k * d.levels;
        Vector a(size);
        for (Index i : own) {
            for (Index j = 0; j < d.levels; ++j)
                working_vector(directions[i], lambda, ptr(u_dense_, d.offset + j * d.k),
                               ptr(s_dense_, d.offset + j * d.k), ptr(a, j * d.k));
            for (Index x : before) {
                const double v = dot(a.data(), ptr(V, x * ma + d.offset), size);
                AI[x + i * K] += v;
                AI[i + x * K] += v;
            }
            double* out = ptr(V, i * ma);
            for (Index c = 0; c < size; ++c)
                if (a[c] != 0) axpy(a[c], ptr(schur_, (d.offset + c) * m_), out, ma);
            for (Index x : own)
                if (x <= i) {
                    for (Index j = 0; j < d.levels; ++j) {
                        Vector b(d.k);
                        working_vector(directions[x], lambda, ptr(u_dense_, d.offset + j * d.k),
                                       ptr(s_dense_, d.offset + j * d.k), b.data());
                        AI[x + i * K] += dot(b.data(), out + d.offset + j * d.k, d.k);
                    }
                    if (x != i) AI[i + x * K] = AI[x + i * K];
                }
        }
        before.insert(before.end(), own.begin(), own.end());
    }
    apply_lambda(lambdas_, V.data(), K, ma, true);
    dense_solve_lower(chol_.data(), ma, m_, V.data(), K, ma);
    for (Index y = 0; y < K; ++y)
        for (Index x = 0; x < K; ++x) AI[x + y * K] -= dot(ptr(V, x * ma), ptr(V, y * ma), ma);
}

std::vector<Vector> BlockEngine::conditional_covariances() {
    std::vector<Vector> out(products_->groups.size());
    invert_dense(0);
    scale_inverse(lambdas_, 0);
    for (const DenseGroup& d : dense_) {
        Vector& v = out[d.group];
        v.resize(d.levels * d.k * d.k);
        for (Index j = 0; j < d.levels; ++j)
            for (Index a = 0; a < d.k; ++a)
                std::copy_n(ptr(kappa_, d.offset + j * d.k + (d.offset + j * d.k + a) * q_), d.k,
                            ptr(v, (j * d.k + a) * d.k));
    }
    Vector kappa, full;
    for (std::size_t e = steps_.size(); e-- > 0;) {
        Eliminated& E = steps_[e];
        Vector& v = out[E.group];
        v.resize(E.levels * E.k * E.k);
        for (Index j = 0; j < E.levels; ++j) {
            gather(E, e, j, 0, kappa);
            full_coupling(e, j, 0, full);
            level_kappa(e, j, 0, kappa, full, ptr(v, j * E.k * E.k));
        }
        if (e > 0) E.kappa = v;
    }
    return out;
}

Vector BlockEngine::row_variances(Index rows, const std::vector<bool>& include,
                                  const std::vector<const std::int32_t*>& levels,
                                  const std::vector<Vector>& z, const double* x) {
    constexpr Index kRows = 128;
    const Index ma = q_ + p_;
    Vector out(rows, 0.0), V(ma * std::min(rows, kRows)), h;
    std::vector<Vector> rest(steps_.size());
    for (Index first = 0; first < rows; first += kRows) {
        const Index n = std::min(kRows, rows - first);
        std::fill(V.begin(), V.end(), 0.0);
        for (Index i = 0; i < n; ++i) {
            const Index row = first + i;
            double* v = ptr(V, i * ma);
            std::copy_n(x + row * p_, p_, v + q_);
            for (std::size_t g = 0; g < include.size(); ++g) {
                if (!include[g] || levels[g][row] >= 0) continue;  // unseen: its prior variance
                const Index k = products_->groups[g].k;
                Vector t(k);
                multiply_tn<0>(lambdas_[g].data(), ptr(z[g], row * k), t.data(), k, k, 1);
                out[row] += dot(t.data(), t.data(), k);
            }
            for (const DenseGroup& d : dense_)
                if (include[d.group] && levels[d.group][row] >= 0)
                    std::copy_n(ptr(z[d.group], row * d.k), d.k,
                                v + d.offset + levels[d.group][row] * d.k);
            // Group after group: what a level leaves to the rows below, -B'K z. A group without a
            // level of its own may still hold what its children left, at their parent.
            std::vector<std::vector<std::pair<Index, Vector>>> pending(steps_.size());
            for (std::size_t e = 0; e < steps_.size(); ++e) {
                const Eliminated& E = steps_[e];
                const Index k = E.k, j0 = levels[E.group][row];
                if (include[E.group] && j0 >= 0) {
                    Vector own(ptr(z[E.group], row * k), ptr(z[E.group], row * k) + k);
                    bool merged = false;
                    for (auto& [j, w] : pending[e])
                        if (j == j0) {
                            axpy(1, own.data(), w.data(), k);
                            merged = true;
                        }
                    if (!merged) pending[e].emplace_back(j0, std::move(own));
                }
                for (const auto& [j, w] : pending[e]) {
                    const double* P = ptr(E.P, j * k * k);
                    h.resize(2 * k);
                    multiply<0>(P, w.data(), h.data(), k, 1);
                    out[row] += dot(h.data(), h.data(), k);
                    multiply_tn<0>(P, h.data(), ptr(h, k), k, k, 1);  // K z
                    const Index nd = E.columns(j);
                    const double* B = coupling(e) + E.at(j, width_);
                    for (Index c = 0; c < nd; ++c)
                        v[E.column[E.start[j] + c]] -= dot(B + c * k, ptr(h, k), k);
                    for (Index c = 0; c < p_; ++c) v[q_ + c] -= dot(B + (nd + c) * k, ptr(h, k), k);
                    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
                        const Index l = E.parent[f][j], kf = steps_[f].k;
                        if (l < 0) continue;
                        const double* A = parents(e, f) + j * k * kf;
                        Vector left(kf);
                        for (Index c = 0; c < kf; ++c) left[c] = -dot(A + c * k, ptr(h, k), k);
                        bool merged = false;
                        for (auto& [jf, wf] : pending[f])
                            if (jf == l) {
                                axpy(1, left.data(), wf.data(), kf);
                                merged = true;
                            }
                        if (!merged) pending[f].emplace_back(l, std::move(left));
                    }
                }
            }
        }
        apply_lambda(lambdas_, V.data(), n, ma, true);
        dense_solve_lower(chol_.data(), ma, m_, V.data(), n, ma);
        for (Index i = 0; i < n; ++i) out[first + i] += dot(ptr(V, i * ma), ptr(V, i * ma), ma);
    }
    return out;
}

}  // namespace pp
