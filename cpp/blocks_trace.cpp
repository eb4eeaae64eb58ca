// Traces by selected inversion, the average-information and exact Hessians, variances of rows.
// In what follows kappa = Lambda S^-1 Lambda' on the trailing columns, P_jj = D_j - H_j kappa H_j'
// with D_j = Pi_j' G_jj and H_j = Pi_j' B_j (docs/math.md, M4): no division by lambda anywhere.
#include <algorithm>
#include <cmath>

#include "blocks.hpp"
#include "level.hpp"

namespace pp {

// kappa_ := S^-1 over (r, X), or r, symmetric in full.
void BlockEngine::invert_dense(Index px) {
    const Index mt = q_ + px;
    kappa_.resize(mt * mt);
    dense_inverse(chol_.data(), mt, m_, kappa_.data());
    mirror_lower(kappa_.data(), mt);
}

// T and P of the dense groups from S^-1; then kappa_ becomes Lambda S^-1 Lambda'.
void BlockEngine::trace_dense(const Lambdas& lambdas, Sums& sums, Index px, int order) {
    const Index mt = q_ + px;
    Vector ls;
    for (const DenseGroup& d : dense_) {
        const Vector& lambda = lambdas[d.group];
        const Index k = d.k;
        GroupSums& g = sums.groups[d.group];
        const Vector inverse = safe_inverse(lambda.data(), k);
        double smallest = INFINITY;
        for (Index a = 0; a < k; ++a) smallest = std::min(smallest, std::fabs(lambda[a + a * k]));
        const bool divide = !inverse.empty() && smallest > 1e-4;
        const bool all = order >= kAverage && !divide;
        ls.resize(mt * (all ? k * d.levels : k));
        for (Index j = 0; j < d.levels; ++j) {
            const Index c0 = d.offset + j * k;
            double* block = ls.data() + (all ? j * k * mt : 0);
            for (Index a = 0; a < k; ++a)
                std::copy_n(ptr(schur_, (c0 + a) * m_), mt, block + a * mt);
            apply_lambda(lambdas, block, k, mt, true);
            for (Index a = 0; a < k; ++a)
                for (Index b = 0; b < k; ++b)
                    g.T[b + a * k] += dot(ptr(kappa_, (c0 + b) * mt), block + a * mt, mt);
        }
        if (order < kAverage) continue;
        if (divide) {  // P = lambda^-T T
            multiply_tn<0>(inverse.data(), g.T.data(), g.P.data(), k, k, k);
            for (Index b = 0; b < k; ++b)
                for (Index a = 0; a < b; ++a)
                    g.P[a + b * k] = g.P[b + a * k] = 0.5 * (g.P[a + b * k] + g.P[b + a * k]);
            continue;
        }
        dense_solve_lower(chol_.data(), mt, m_, ls.data(), k * d.levels, mt);
        for (Index j = 0; j < d.levels; ++j)
            for (Index a = 0; a < k; ++a)
                for (Index b = 0; b < k; ++b)
                    g.P[b + a * k] += schur_[d.offset + j * k + b + (d.offset + j * k + a) * m_] -
                                      dot(ptr(ls, (j * k + b) * mt), ptr(ls, (j * k + a) * mt), mt);
    }
    scale_inverse(lambdas, px);
}

// kappa_ := Lambda kappa_ Lambda'
void BlockEngine::scale_inverse(const Lambdas& lambdas, Index px) {
    const Index mt = q_ + px;
    apply_lambda(lambdas, kappa_.data(), mt, mt, false);
    for (const DenseGroup& d : dense_) {
        const double* lambda = lambdas[d.group].data();
        Vector t(d.k * mt);
        for (Index j = 0; j < d.levels; ++j) {
            double* block = ptr(kappa_, (d.offset + j * d.k) * mt);
            std::fill(t.begin(), t.end(), 0.0);
            for (Index b = 0; b < d.k;
                 ++b)  // (kappa Lambda') column b = sum_a lambda[b, a] column a
                for (Index a = 0; a < d.k; ++a)
                    if (lambda[b + a * d.k] != 0)
                        axpy(lambda[b + a * d.k], block + a * mt, ptr(t, b * mt), mt);
            std::copy(t.begin(), t.end(), block);
        }
    }
}

// kappa on the trailing columns of a level: its parents, its dense columns, X (px of them).
void BlockEngine::gather(const Eliminated& E, std::size_t e, Index j, Index px,
                         Vector& kappa) const {
    const Index nd = E.columns(j), mt = q_ + px;
    std::vector<Index> offset(steps_.size(), -1);
    Index n = 0;
    for (std::size_t f = e + 1; f < steps_.size(); ++f)
        if (E.parent[f][j] >= 0) offset[f] = n, n += steps_[f].k;
    const Index d0 = n;
    n += nd + px;
    kappa.resize(n * n);
    const std::int32_t* column = E.column.data() + E.start[j];
    const auto dense = [&](Index c) { return c < nd ? Index(column[c]) : q_ + c - nd; };
    for (Index c = 0; c < nd + px; ++c)
        for (Index r = 0; r < nd + px; ++r)
            kappa[d0 + r + (d0 + c) * n] = kappa_[dense(r) + dense(c) * mt];
    const auto set = [&](Index r, Index c, double v) { kappa[r + c * n] = kappa[c + r * n] = v; };
    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
        if (offset[f] < 0) continue;
        const Eliminated& F = steps_[f];
        const Index l = E.parent[f][j], kf = F.k;
        for (Index a = 0; a < kf; ++a) {
            for (Index b = 0; b < kf; ++b)
                kappa[offset[f] + b + (offset[f] + a) * n] = F.kappa[(l * kf + a) * kf + b];
            const double* kc = ptr(F.kappa_c, F.at(l, width_));
            for (Index c = 0; c < nd; ++c)
                set(offset[f] + a, d0 + c, kc[E.place[f][E.start[j] + c] * kf + a]);
            for (Index c = 0; c < px; ++c)
                set(offset[f] + a, d0 + nd + c, kc[(F.columns(l) + c) * kf + a]);
            for (std::size_t h = f + 1; h < steps_.size(); ++h)
                for (Index b = 0; offset[h] >= 0 && b < steps_[h].k; ++b)
                    set(offset[f] + a, offset[h] + b, F.kappa_a[h][(l * steps_[h].k + b) * kf + a]);
        }
    }
}

namespace {

// right (k x n) = rows (k x n) kappa (n x n)
void times_symmetric(const Vector& rows, const Vector& kappa, Index k, Index n, Vector& right) {
    right.assign(k * n, 0.0);
    for (Index c = 0; c < n; ++c)
        for (Index d = 0; d < n; ++d)
            axpy(kappa[d + c * n], ptr(rows, d * k), ptr(right, c * k), k);
}

}  // namespace

// The level's coupling with its parents, its dense columns and X, side by side; returns their
// number.
Index BlockEngine::full_coupling(std::size_t e, Index j, Index px, Vector& full) const {
    const Eliminated& E = steps_[e];
    const Index k = E.k, nd = E.columns(j);
    full.clear();
    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
        if (E.parent[f][j] < 0) continue;
        const double* A = parents(e, f) + j * k * steps_[f].k;
        full.insert(full.end(), A, A + k * steps_[f].k);
    }
    const double* B = coupling(e) + E.at(j, width_);
    full.insert(full.end(), B, B + k * (nd + px));
    return static_cast<Index>(full.size()) / k;
}

// kappa_jj = K + (K B) kappa (K B)' into out; kappa_jc = -(K B) kappa is kept for the children.
void BlockEngine::level_kappa(std::size_t e, Index j, Index px, const Vector& kappa,
                              const Vector& full, double* out) {
    Eliminated& E = steps_[e];
    const Index k = E.k, kk = k * k, n = static_cast<Index>(full.size()) / k;
    Vector KB(k * n), K(kk), W;
    multiply_tn<0>(ptr(E.P, j * kk), ptr(E.P, j * kk), K.data(), k, k, k);
    multiply<0>(K.data(), full.data(), KB.data(), k, n);
    times_symmetric(KB, kappa, k, n, W);
    for (Index c = 0; c < n; ++c)
        for (Index b = 0; b < k; ++b) axpy(KB[c * k + b], ptr(W, c * k), ptr(K, b * k), k);
    std::copy(K.begin(), K.end(), out);
    if (e == 0) return;
    Index at = 0;
    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
        if (E.parent[f][j] < 0) continue;
        const Index size = k * steps_[f].k;
        for (Index i = 0; i < size; ++i) E.kappa_a[f][j * size + i] = -W[at + i];
        at += size;
    }
    for (Index i = 0; i < k * (E.columns(j) + px); ++i) E.kappa_c[E.at(j, width_) + i] = -W[at + i];
}

template <int K>
void BlockEngine::trace(std::size_t e, const double* lambda, GroupSums& sums, Index px) {
    Eliminated& E = steps_[e];
    const Index k = K ? K : E.k, kk = k * k, mt = q_ + px;
    const double *G = gram(e), *B = coupling(e);
    Vector X(kk, 0.0), H, kappa, full, t(kk), W, acc(k);
    const bool chained = e + 1 < steps_.size();
    for (Index j = 0; j < E.levels; ++j) {
        double *D = t.data(), *Pi = ptr(E.Pi, j * kk);
        multiply<K>(Pi, G + j * kk, D, k, k);
        for (Index i = 0; i < kk; ++i) sums.P[i] += D[i];
        multiply<K>(ptr(E.P, j * kk), G + j * kk, D, k, k);  // T: M^-1 lambda'G, no cancellation
        for (Index b = 0; b < k; ++b)
            for (Index a = 0; a < k; ++a)
                sums.T[a + b * k] += dot(ptr(E.Linv, j * kk + a * k), D + b * k, k);
        if (E.dense_coupling && !chained) continue;
        const Index nd = E.columns(j);
        const double* Bj = B + E.at(j, width_);
        if (!chained && e == 0) {
            H.resize(k * (nd + px));
            multiply<K>(Pi, Bj, H.data(), k, nd + px);
            const std::int32_t* column = E.column.data() + E.start[j];
            for (Index c = 0; c < nd + px; ++c) {
                const Index at = c < nd ? column[c] : q_ + c - nd;
                const double* col = ptr(kappa_, at * mt);
                const double* h = ptr(H, c * k);
                const double half = 0.5 * col[at];
                for (Index a = 0; a < k; ++a) acc[a] = half * h[a];
                for (Index d = c + 1; d < nd; ++d)
                    for (Index a = 0; a < k; ++a) acc[a] += col[column[d]] * H[d * k + a];
                for (Index d = std::max(c + 1, nd); d < nd + px; ++d)
                    for (Index a = 0; a < k; ++a) acc[a] += col[q_ + d - nd] * H[d * k + a];
                for (Index b = 0; b < k; ++b)
                    for (Index a = 0; a < k; ++a) X[a + b * k] += acc[a] * h[b] + h[a] * acc[b];
            }
            continue;
        }
        // The general level: coupling with parents too, and kappa of its own for its children.
        gather(E, e, j, px, kappa);
        const Index n = full_coupling(e, j, px, full);
        H.resize(k * n);
        multiply<K>(Pi, full.data(), H.data(), k, n);
        times_symmetric(H, kappa, k, n, W);
        for (Index c = 0; c < n; ++c)
            for (Index b = 0; b < k; ++b) axpy(H[c * k + b], ptr(W, c * k), ptr(X, b * k), k);
        if (e > 0) level_kappa(e, j, px, kappa, full, ptr(E.kappa, j * kk));
    }
    if (E.dense_coupling && !chained) trace_dense_coupling(e, px, X);
    for (Index b = 0; b < k; ++b)
        for (Index a = 0; a < k; ++a) {
            sums.P[a + b * k] -= X[a + b * k];
            sums.T[a + b * k] -= dot(lambda + a * k, ptr(X, b * k), k);
        }
}

// R = L^-1 Lambda' H', a column an element of a level: then H_j kappa H_l' = R_j'R_l.
void BlockEngine::stack_rows(std::size_t e, Index px, Vector& R) const {
    const Eliminated& E = steps_[e];
    const Index k = E.k, mt = q_ + px;
    R.assign(mt * E.levels * k, 0.0);
    Vector H;
    const double* B = coupling(e);
    for (Index j = 0; j < E.levels; ++j) {
        const Index nd = E.columns(j);
        H.resize(k * (nd + px));
        multiply<0>(ptr(E.Pi, j * k * k), B + E.at(j, width_), H.data(), k, nd + px);
        for (Index c = 0; c < nd + px; ++c) {
            const Index at = c < nd ? E.column[E.start[j] + c] : q_ + c - nd;
            for (Index a = 0; a < k; ++a) R[at + (j * k + a) * mt] = H[a + c * k];
        }
    }
    apply_lambda(lambdas_, R.data(), E.levels * k, mt, true);
    dense_solve_lower(chol_.data(), mt, m_, R.data(), E.levels * k, mt);
}

// sum_j H_j kappa H_j' where every level is coupled with most columns: one triangular solve.
void BlockEngine::trace_dense_coupling(std::size_t e, Index px, Vector& X) {
    const Eliminated& E = steps_[e];
    const Index k = E.k, mt = q_ + px;
    Vector R;
    stack_rows(e, px, R);
    for (Index j = 0; j < E.levels; ++j)
        for (Index b = 0; b < k; ++b)
            for (Index a = 0; a < k; ++a)
                X[a + b * k] += dot(ptr(R, (j * k + a) * mt), ptr(R, (j * k + b) * mt), mt);
}

template void BlockEngine::trace<0>(std::size_t, const double*, GroupSums&, Index);
template void BlockEngine::trace<1>(std::size_t, const double*, GroupSums&, Index);
template void BlockEngine::trace<2>(std::size_t, const double*, GroupSums&, Index);
template void BlockEngine::trace<3>(std::size_t, const double*, GroupSums&, Index);
template void BlockEngine::trace<4>(std::size_t, const double*, GroupSums&, Index);

}  // namespace pp
