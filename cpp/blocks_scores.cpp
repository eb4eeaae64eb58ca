// Z'V^-1 X and what inference makes of it (docs/math.md, M16, M17).
#include <algorithm>

#include "blocks.hpp"
#include "level.hpp"

namespace pp {

// Z'V^-1 X of every group, a level: k x p.
std::vector<Vector> BlockEngine::fixed_scores() const {
    std::vector<Vector> out(products_->groups.size());
    // b: what the random effects take of each column of X, Psi Z'V^-1 X.
    Vector x(m_ * p_, 0.0), dense(m_ * p_);
    for (Index c = 0; c < p_; ++c) {
        double* col = ptr(x, c * m_);
        for (Index r = 0; r < q_; ++r) col[r] = schur_[r + (q_ + c) * m_];
        apply_lambda(lambdas_, col, 1, m_, true);
        solve_lower(chol_.data(), q_, m_, col);
        solve_lower_transposed(chol_.data(), q_, m_, col);
        apply_lambda(lambdas_, col, 1, m_, false);
    }
    dense_multiply_tn(schur_.data(), x.data(), dense.data(), m_, p_, m_);
    for (const DenseGroup& d : dense_) {
        Vector& E = out[d.group];
        E.resize(d.levels * d.k * p_);
        for (Index j = 0; j < d.levels; ++j)
            for (Index c = 0; c < p_; ++c)
                for (Index a = 0; a < d.k; ++a) {
                    const Index r = d.offset + j * d.k + a;
                    E[(j * p_ + c) * d.k + a] = schur_[r + (q_ + c) * m_] - dense[r + c * m_];
                }
    }
    std::vector<Vector> taken(steps_.size());
    for (std::size_t e = steps_.size(); e-- > 0;) {
        const Eliminated& step = steps_[e];
        const Index k = step.k, kk = k * k;
        Vector& E = out[step.group];
        E.resize(step.levels * k * p_);
        taken[e].resize(e > 0 ? E.size() : 0);
        const double* B = coupling(e);
        Vector r(k * p_), t(k * p_);
        for (Index j = 0; j < step.levels; ++j) {
            const Index nd = step.columns(j);
            const double* Bj = B + step.at(j, width_);
            std::copy_n(Bj + nd * k, k * p_, r.begin());
            for (Index c = 0; c < p_; ++c) {
                double* rc = ptr(r, c * k);
                for (Index i = 0; i < nd; ++i)
                    axpy(-x[step.column[step.start[j] + i] + c * m_], Bj + i * k, rc, k);
                for (std::size_t f = e + 1; f < steps_.size(); ++f) {
                    const Index l = step.parent[f][j], kf = steps_[f].k;
                    if (l < 0) continue;
                    const double* A = parents(e, f) + j * k * kf;
                    for (Index i = 0; i < kf; ++i)
                        axpy(-taken[f][(l * p_ + c) * kf + i], A + i * k, rc, k);
                }
            }
            multiply<0>(ptr(step.Pi, j * kk), r.data(), ptr(E, j * k * p_), k, p_);
            if (e == 0) continue;
            multiply<0>(ptr(step.P, j * kk), r.data(), t.data(), k, p_);
            multiply_tn<0>(ptr(step.P, j * kk), t.data(), ptr(taken[e], j * k * p_), k, k, p_);
        }
    }
    return out;
}

namespace {

// v (k x p) of one level: S_x E.
void select(const Pair& s, const double* E, Index k, Index p, double* v) {
    std::fill_n(v, k * p, 0.0);
    for (Index c = 0; c < p; ++c) {
        v[s.a + c * k] = E[s.b + c * k];
        if (s.a != s.b) v[s.b + c * k] = E[s.a + c * k];
    }
}

}  // namespace

Vector fixed_squares(const std::vector<Pair>& pairs, const Layout& layout,
                     const std::vector<Vector>& scores, Index p) {
    const Index pp = p * p;
    Vector out(static_cast<Index>(pairs.size()) * pp, 0.0);
    for (std::size_t x = 0; x < pairs.size(); ++x) {
        const Pair& s = pairs[x];
        const Vector& E = scores[s.group];
        const Index k = layout.group_k[s.group];
        double* B = ptr(out, static_cast<Index>(x) * pp);
        for (Index j = 0; j < static_cast<Index>(E.size()); j += k * p)
            for (Index c = 0; c < p; ++c) {
                const double f = E[j + s.b + c * k];
                for (Index r = 0; r < p; ++r) B[r + c * p] += E[j + s.a + r * k] * f;
            }
        if (s.a == s.b) continue;
        for (Index c = 0; c < p; ++c)
            for (Index r = 0; r <= c; ++r)
                B[r + c * p] = B[c + r * p] = B[r + c * p] + B[c + r * p];
    }
    return out;
}

// E_Z = Z'V^-1 Z has the blocks [j = l] D_j - H_j kappa H_l' of the eliminated group, and
// S~ - S~ kappa S~ of the dense ones. With rho_x = sum_j H_j'v_x,j + S~ v_x,r, only kappa between
// two rho takes more than a pass over the levels.
Vector BlockEngine::score_products(const std::vector<Pair>& pairs,
                                   const std::vector<Vector>& scores) const {
    const Index M = static_cast<Index>(pairs.size()), p = p_, Mp = M * p;
    const Eliminated& E = steps_[0];
    const Index k = E.k, kk = k * k;
    Vector out(Mp * Mp, 0.0), rho(m_ * Mp, 0.0), V(m_ * Mp, 0.0), H, D(kk), v(k * Mp), Dv(k * p);
    std::vector<Index> own;
    for (Index x = 0; x < M; ++x)
        if (pairs[x].group == E.group) own.push_back(x);
    for (Index j = 0; j < E.levels; ++j) {
        const Index nd = E.columns(j);
        const double* Ej = ptr(scores[E.group], j * k * p);
        multiply<0>(ptr(E.Pi, j * kk), gram(0) + j * kk, D.data(), k, k);
        H.resize(k * nd);
        multiply<0>(ptr(E.Pi, j * kk), coupling(0) + E.at(j, width_), H.data(), k, nd);
        for (Index y : own) {
            double* vy = ptr(v, y * k * p);
            select(pairs[y], Ej, k, p, vy);
            multiply<0>(D.data(), vy, Dv.data(), k, p);
            for (Index x : own) {
                if (x > y) break;
                const double* vx = ptr(v, x * k * p);
                for (Index c = 0; c < p; ++c)
                    for (Index r = 0; r < p; ++r) {
                        double sum = 0;
                        for (Index a = 0; a < k; ++a) sum += vx[a + r * k] * Dv[a + c * k];
                        out[x * p + r + (y * p + c) * Mp] += sum;
                    }
            }
            for (Index c = 0; c < p; ++c) {
                double* to = ptr(rho, (y * p + c) * m_);
                for (Index i = 0; i < nd; ++i)
                    for (Index a = 0; a < k; ++a)
                        to[E.column[E.start[j] + i]] += H[a + i * k] * vy[a + c * k];
            }
        }
    }
    for (Index y : own)
        for (Index x : own)
            for (Index c = 0; x < y && c < p; ++c)
                for (Index r = 0; r < p; ++r)
                    out[y * p + c + (x * p + r) * Mp] = out[x * p + r + (y * p + c) * Mp];
    if (q_ == 0) return out;

    for (Index x = 0; x < M; ++x)
        for (const DenseGroup& d : dense_) {
            if (d.group != pairs[x].group) continue;
            Vector level(d.k * p);
            for (Index j = 0; j < d.levels; ++j) {
                select(pairs[x], ptr(scores[d.group], j * d.k * p), d.k, p, level.data());
                for (Index c = 0; c < p; ++c)
                    std::copy_n(ptr(level, c * d.k), d.k,
                                ptr(V, (x * p + c) * m_ + d.offset + j * d.k));
            }
        }
    Vector SV(m_ * Mp), between(Mp * Mp);
    dense_multiply_tn(schur_.data(), V.data(), SV.data(), m_, Mp, m_);
    axpy(1, SV.data(), rho.data(), m_ * Mp);
    for (Index c = 0; c < Mp; ++c) std::fill_n(ptr(rho, c * m_ + q_), m_ - q_, 0.0);
    dense_multiply_tn(rho.data(), V.data(), between.data(), Mp, Mp, m_);
    for (Index c = 0; c < Mp; ++c)  // v_x'S~ v_y, or sum_j v_x,j'H_j v_y,r; zero where y is own
        for (Index r = 0; r < Mp; ++r) {
            out[r + c * Mp] += between[r + c * Mp];
            if (pairs[r / p].group != E.group && pairs[c / p].group == E.group)
                out[r + c * Mp] += between[c + r * Mp];
        }
    apply_lambda(lambdas_, rho.data(), Mp, m_, true);
    dense_solve_lower(chol_.data(), q_, m_, rho.data(), Mp, m_);
    dense_multiply_tn(rho.data(), rho.data(), between.data(), Mp, Mp, m_);
    axpy(-1, between.data(), out.data(), Mp * Mp);
    return out;
}

}  // namespace pp
