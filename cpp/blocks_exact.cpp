// Exact traces tr(P V_x P V_y) (docs/math.md, M6, M18). One group is eliminated and the others are
// dense columns; kappa = Lambda S^-1 Lambda'
// on the trailing columns, P_jl = [j = l] D_j - H_j kappa H_l'.
#include <algorithm>
#include <cmath>

#include "blocks.hpp"
#include "level.hpp"

namespace pp {

namespace {

// tr(S_x A S_y B) for symmetric k x k A and B, S = e_a e_b' + e_b e_a' or e_a e_a'.
double within(const Pair& x, const Pair& y, const double* A, const double* B, Index k) {
    const auto term = [&](Index a, Index b, Index c, Index d) {
        return A[b + c * k] * B[d + a * k];
    };
    double v = term(x.a, x.b, y.a, y.b);
    if (y.a != y.b) v += term(x.a, x.b, y.b, y.a);
    if (x.a == x.b) return v;
    v += term(x.b, x.a, y.a, y.b);
    if (y.a != y.b) v += term(x.b, x.a, y.b, y.a);
    return v;
}

double multiplicity(const Pair& x) {
    return x.a == x.b ? 1 : 2;
}

// tr(A B) of n x n matrices, tile by tile.
double trace_of_product(const Vector& A, const Vector& B, Index n) {
    constexpr Index kTile = 32;
    double sum = 0;
    for (Index c0 = 0; c0 < n; c0 += kTile)
        for (Index r0 = 0; r0 < n; r0 += kTile) {
            double part = 0;
            for (Index c = c0; c < std::min(n, c0 + kTile); ++c)
                for (Index r = r0; r < std::min(n, r0 + kTile); ++r)
                    part += A[r + c * n] * B[c + r * n];
            sum += part;
        }
    return sum;
}

// N[i, j] = sum over blocks of tr(S_i P S_j P'), P a kx x ky block with leading dimension ld.
void add_blocks(const std::vector<Pair>& pairs, const std::vector<Index>& xs,
                const std::vector<Index>& ys, const double* P, Index ld, Index kx, Index Jx,
                Index ky, Index Jy, Vector& N) {
    const Index kk = kx * ky, M = static_cast<Index>(pairs.size());
    Vector gram(kk * kk, 0.0), v(kk);  // sum of vec(P) vec(P)'
    if (kk == 1) {
        for (Index l = 0; l < Jy; ++l) gram[0] += long_dot(P + l * ld, P + l * ld, Jx);
    } else {
        for (Index l = 0; l < Jy; ++l)
            for (Index j = 0; j < Jx; ++j) {
                for (Index b = 0; b < ky; ++b)
                    std::copy_n(P + j * kx + (l * ky + b) * ld, kx, ptr(v, b * kx));
                for (Index i = 0; i < kk; ++i) axpy(v[i], v.data(), ptr(gram, i * kk), kk);
            }
    }
    for (Index y : ys)
        for (Index x : xs) {
            const Pair &s = pairs[x], &t = pairs[y];
            const auto at = [&](Index a, Index c, Index b, Index d) {
                return gram[a + c * kx + (b + d * kx) * kk];
            };
            N[x + y * M] += 0.5 * multiplicity(s) * multiplicity(t) *
                            (at(s.a, t.a, s.b, t.b) + at(s.a, t.b, s.b, t.a));
        }
}

void mirror_entries(const std::vector<Index>& xs, const std::vector<Index>& ys, Index M,
                    Vector& N) {
    for (Index y : ys)
        for (Index x : xs) N[y + x * M] = N[x + y * M];
}

std::vector<Index> of_group(const std::vector<Pair>& pairs, Index group) {
    std::vector<Index> out;
    for (std::size_t i = 0; i < pairs.size(); ++i)
        if (pairs[i].group == group) out.push_back(static_cast<Index>(i));
    return out;
}

constexpr double kDivisible = 30;  // condition up to which dividing by lambda keeps the digits
constexpr double kShare = 1e-2;    // of Psi^-1 that must be left of P where it is a difference

}  // namespace

// Psi^-1 where P of the group's levels is Psi^-1 - Psi^-1 kappa Psi^-1 to nearly all its digits;
// empty elsewhere, at lambda = 0 for one.
Vector BlockEngine::divisible_inverse(const DenseGroup& g, Index mt) const {
    const Index k = g.k;
    const Vector& lambda = lambdas_[g.group];
    Vector inverse(k * k), row(k, 0.0);
    if (!invert(lambda.data(), k, inverse.data())) return {};
    double condition = 0;  // of lambda with its rows brought to length one
    for (Index a = 0; a < k; ++a) {
        for (Index b = 0; b < k; ++b) row[a] += lambda[a + b * k] * lambda[a + b * k];
        condition += row[a] * dot(ptr(inverse, a * k), ptr(inverse, a * k), k);
    }
    if (!(condition < kDivisible * kDivisible * static_cast<double>(k))) return {};
    Vector out(k * k), t(k * k), left(k * k);
    multiply_tn<0>(inverse.data(), inverse.data(), out.data(), k, k, k);
    for (Index j = 0; j < g.levels; ++j) {
        for (Index b = 0; b < k; ++b)
            std::copy_n(ptr(kappa_, g.offset + j * k + (g.offset + j * k + b) * mt), k,
                        ptr(t, b * k));
        multiply<0>(out.data(), t.data(), left.data(), k, k);
        multiply<0>(left.data(), out.data(), t.data(), k, k);
        for (Index a = 0; a < k; ++a)
            if (!(out[a + a * k] - t[a + a * k] > kShare * out[a + a * k])) return {};
    }
    return out;
}

// W = L^-1 Lambda'S~ on the columns of a dense group, mt x its columns: S~ kappa S~ = W'W.
Vector BlockEngine::half_columns(const DenseGroup& g, Index mt) const {
    const Index size = g.k * g.levels;
    Vector W(mt * size);
    for (Index c = 0; c < size; ++c)
        std::copy_n(ptr(schur_, (g.offset + c) * m_), mt, ptr(W, c * mt));
    apply_lambda(lambdas_, W.data(), size, mt, true);
    dense_solve_lower(chol_.data(), mt, m_, W.data(), size, mt);
    return W;
}

// I - kappa S~ on the same columns.
Vector BlockEngine::complement_columns(const DenseGroup& g, Index mt, const Vector& W) const {
    const Index size = g.k * g.levels;
    Vector F = W;
    dense_solve_lower_transposed(chol_.data(), mt, m_, F.data(), size, mt);
    apply_lambda(lambdas_, F.data(), size, mt, false);
    for (double& v : F) v = -v;
    for (Index c = 0; c < size; ++c) F[g.offset + c + c * mt] += 1;
    return F;
}

// T_x = sum_j H_j' S_x H_j of the eliminated group's pairs, and their own levels' part of N.
std::vector<Vector> BlockEngine::squared_coupling(const std::vector<Pair>& pairs,
                                                  const std::vector<Index>& own, Index px,
                                                  Vector& N) const {
    const Eliminated& E = steps_[0];
    const Index k = E.k, kk = k * k, J = E.levels, mt = q_ + px,
                M = static_cast<Index>(pairs.size());
    std::vector<Vector> T(own.size(), Vector(mt * mt, 0.0));
    Vector H, D(kk), beta(kk), W(k), stack, SK;  // stack: H', a column an element of a level
    std::vector<Index> at;
    const auto couple_level = [&](Index j) {
        const Index nd = E.columns(j);
        H.resize(k * (nd + px));
        multiply<0>(ptr(E.Pi, j * kk), coupling(0) + E.at(j, width_), H.data(), k, nd + px);
        at.resize(nd + px);
        for (Index c = 0; c < nd + px; ++c) at[c] = c < nd ? E.column[E.start[j] + c] : q_ + c - nd;
    };
    const bool dense = E.dense_coupling && mt > 0;
    if (dense) {
        stack.assign(mt * J * k, 0.0);
        SK.resize(stack.size());
        for (Index j = 0; j < J; ++j) {
            couple_level(j);
            for (std::size_t c = 0; c < at.size(); ++c)
                for (Index a = 0; a < k; ++a)
                    stack[at[c] + (a * J + j) * mt] = H[a + static_cast<Index>(c) * k];
        }
        dense_multiply_tn(kappa_.data(), stack.data(), SK.data(), mt, J * k, mt);
        for (std::size_t x = 0; x < own.size(); ++x) {
            const Pair& s = pairs[own[x]];
            dense_multiply_nt(ptr(stack, s.a * J * mt), ptr(stack, s.b * J * mt), T[x].data(), mt,
                              mt, J);
            if (s.a == s.b) continue;
            for (Index c = 0; c < mt; ++c)
                for (Index r = 0; r <= c; ++r) {
                    double &lower = T[x][c + r * mt], &upper = T[x][r + c * mt];
                    lower = upper = lower + upper;
                }
        }
    }
    for (Index j = 0; j < J; ++j) {
        if (dense) {
            for (Index b = 0; b < k; ++b)
                for (Index a = 0; a < k; ++a)
                    beta[a + b * k] =
                        long_dot(ptr(stack, (a * J + j) * mt), ptr(SK, (b * J + j) * mt), mt);
        } else {
            couple_level(j);
            const Index n = static_cast<Index>(at.size());
            std::fill(beta.begin(), beta.end(), 0.0);
            for (Index c = 0; c < n; ++c) {
                const double *col = ptr(kappa_, at[c] * mt), *h = ptr(H, c * k);
                for (Index a = 0; a < k; ++a) W[a] = 0.5 * col[at[c]] * h[a];
                for (Index d = c + 1; d < n; ++d)
                    for (Index a = 0; a < k; ++a) W[a] += col[at[d]] * H[d * k + a];
                for (Index b = 0; b < k; ++b)
                    for (Index a = 0; a < k; ++a) beta[a + b * k] += W[a] * h[b] + h[a] * W[b];
                for (std::size_t x = 0; x < own.size(); ++x) {
                    const Pair& s = pairs[own[x]];
                    const double ha = h[s.a], hb = s.a == s.b ? 0 : h[s.b];
                    double* out = ptr(T[x], at[c] * mt);
                    for (Index d = c; d < n; ++d)
                        out[at[d]] += ha * H[d * k + s.b] + hb * H[d * k + s.a];
                }
            }
        }
        // j = l: D less the coupling; the coupling's square is in tr(kappa T kappa T)
        multiply<0>(ptr(E.Pi, j * kk), gram(0) + j * kk, D.data(), k, k);
        for (Index i = 0; i < kk; ++i) beta[i] = D[i] - 2 * beta[i];
        for (Index y : own)
            for (Index x : own)
                N[x + y * M] += within(pairs[x], pairs[y], D.data(), beta.data(), k);
    }
    if (!dense)
        for (Vector& t : T) mirror_lower(t.data(), mt);
    return T;
}

// tr(P V_x P V_y) of every two pairs, V_x = Z S_x Z'; P is V^-1 where px = 0. For the engine that
// eliminates one group, after an evaluation with traces.
Vector BlockEngine::pair_traces(const std::vector<Pair>& pairs, Index px) const {
    const Index M = static_cast<Index>(pairs.size()), mt = q_ + px;
    Vector N(M * M, 0.0);
    const std::vector<Index> first = of_group(pairs, steps_[0].group);
    std::vector<Vector> T = squared_coupling(pairs, first, px, N), inverse, W, F;
    // P_jr = H_j F with F = I - kappa S~, or kappa Psi^-1 where dividing is safe.
    for (const DenseGroup& g : dense_) {
        inverse.push_back(divisible_inverse(g, mt));
        const bool divided = !inverse.back().empty();
        W.push_back(divided ? Vector() : half_columns(g, mt));
        F.push_back(divided ? Vector() : complement_columns(g, mt, W.back()));
    }
    std::vector<Vector> TK;
    for (std::size_t x = 0; x < first.size(); ++x) {
        TK.emplace_back(mt * mt);
        dense_multiply_nt(T[x].data(), kappa_.data(), TK[x].data(), mt, mt, mt);
        for (std::size_t y = 0; y < dense_.size(); ++y) {
            const DenseGroup& g = dense_[y];
            const Index k = g.k, size = k * g.levels;
            const bool divided = F[y].empty();
            Vector TF, inner(k * k, 0.0), half(k * k);  // sum_l F_l' T_x F_l
            if (!divided) {
                TF.resize(mt * size);
                dense_multiply_tn(T[x].data(), F[y].data(), TF.data(), mt, size, mt);
            }
            const double *left = divided ? ptr(kappa_, g.offset * mt) : F[y].data(),
                         *right = divided ? ptr(TK[x], g.offset * mt) : TF.data();
            for (Index l = 0; l < g.levels; ++l)
                for (Index b = 0; b < k; ++b)
                    for (Index a = 0; a < k; ++a)
                        inner[a + b * k] +=
                            long_dot(left + (l * k + a) * mt, right + (l * k + b) * mt, mt);
            if (divided) {
                multiply<0>(inverse[y].data(), inner.data(), half.data(), k, k);
                multiply<0>(half.data(), inverse[y].data(), inner.data(), k, k);
            }
            for (Index t : of_group(pairs, g.group)) {
                const Pair& s = pairs[t];
                N[first[x] + t * M] = N[t + first[x] * M] =
                    0.5 * multiplicity(s) * (inner[s.a + s.b * k] + inner[s.b + s.a * k]);
            }
        }
        Vector().swap(T[x]);
    }
    for (std::size_t y = 0; y < first.size(); ++y)
        for (std::size_t x = 0; x <= y; ++x) {
            const double v = trace_of_product(TK[x], TK[y], mt);
            N[first[x] + first[y] * M] += v;
            if (x != y) N[first[y] + first[x] * M] += v;
        }
    for (std::size_t y = 0; y < dense_.size(); ++y)
        for (std::size_t x = 0; x <= y; ++x) {
            // rows from a group that can be divided by, if one of the two can
            const bool turn = inverse[x].empty() && !inverse[y].empty();
            const std::size_t r = turn ? y : x, c = turn ? x : y;
            const DenseGroup &R = dense_[r], &C = dense_[c];
            const Vector P = inverse[r].empty()
                                 ? difference_block(R, W[r], C, W[c], mt)
                                 : divided_block(R, inverse[r], C, inverse[c], F[c], mt);
            const std::vector<Index> rows = of_group(pairs, R.group),
                                     cols = of_group(pairs, C.group);
            add_blocks(pairs, rows, cols, P.data(), R.k * R.levels, R.k, R.levels, C.k, C.levels,
                       N);
            if (x != y) mirror_entries(rows, cols, M, N);
        }
    return N;
}

// The block of P between two dense groups, rows of R and columns of C: S~ - W'W.
Vector BlockEngine::difference_block(const DenseGroup& R, const Vector& WR, const DenseGroup& C,
                                     const Vector& WC, Index mt) const {
    const Index rows = R.k * R.levels, cols = C.k * C.levels;
    Vector P(rows * cols);
    dense_multiply_tn(WR.data(), WC.data(), P.data(), rows, cols, mt);
    for (Index c = 0; c < cols; ++c)
        for (Index r = 0; r < rows; ++r)
            P[r + c * rows] = schur_[R.offset + r + (C.offset + c) * m_] - P[r + c * rows];
    return P;
}

// The same where one can divide by the lambda of R: Psi^-1 F.
Vector BlockEngine::divided_block(const DenseGroup& R, const Vector& inverse_R, const DenseGroup& C,
                                  const Vector& inverse_C, const Vector& F, Index mt) const {
    const Index rows = R.k * R.levels, cols = C.k * C.levels;
    Vector P(rows * cols), t(R.k * C.k), half(R.k * C.k);
    const bool divided = !inverse_C.empty();
    for (Index c = 0; c < cols; ++c)
        std::copy_n(
            divided ? ptr(kappa_, R.offset + (C.offset + c) * mt) : ptr(F, R.offset + c * mt), rows,
            ptr(P, c * rows));
    for (Index l = 0; l < C.levels; ++l)
        for (Index j = 0; j < R.levels; ++j) {
            double* block = ptr(P, j * R.k + l * C.k * rows);
            for (Index b = 0; b < C.k; ++b) std::copy_n(block + b * rows, R.k, ptr(t, b * R.k));
            multiply<0>(inverse_R.data(), t.data(), half.data(), R.k, C.k);
            if (divided) {  // -Psi^-1 kappa Psi^-1, and Psi^-1 itself within a level
                for (Index b = 0; b < C.k; ++b)
                    for (Index a = 0; a < R.k; ++a) {
                        double v = &R == &C && j == l ? inverse_R[a + b * R.k] : 0;
                        for (Index i = 0; i < C.k; ++i)
                            v -= half[a + i * R.k] * inverse_C[i + b * C.k];
                        t[a + b * R.k] = v;
                    }
            } else {
                t = half;
            }
            for (Index b = 0; b < C.k; ++b) std::copy_n(ptr(t, b * R.k), R.k, block + b * rows);
        }
    return P;
}

void BlockEngine::exact_trace(const std::vector<Direction>& directions, Sums& sums) {
    const std::vector<Pair> pairs = psi_pairs(layout_);
    const Index M = static_cast<Index>(pairs.size()), K = static_cast<Index>(directions.size());
    const Vector N = pair_traces(pairs, reml_ ? p_ : 0),
                 d = pair_coefficients(pairs, directions, lambdas_);
    sums.trace.assign(K * K, 0.0);
    Vector t(M);
    for (Index j = 0; j < K; ++j) {
        std::fill(t.begin(), t.end(), 0.0);
        for (Index i = 0; i < M; ++i)
            if (d[i + j * M] != 0) axpy(d[i + j * M], ptr(N, i * M), t.data(), M);
        for (Index i = 0; i < K; ++i) sums.trace[i + j * K] = dot(ptr(d, i * M), t.data(), M);
    }
}

}  // namespace pp
