#include "patterns.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "level.hpp"

namespace pp {

namespace {

std::string_view key(const GroupProducts& g, Index j) {
    return {reinterpret_cast<const char*>(ptr(g.G, j * g.k * g.k)),
            static_cast<std::size_t>(g.k * g.k) * sizeof(double)};
}

// out += <A, B> of k x k blocks
template <int K>
inline double inner(const double* a, const double* b, Index k_) {
    const Index kk = K ? K * K : k_ * k_;
    double v = 0;
    for (Index i = 0; i < kk; ++i) v += a[i] * b[i];
    return v;
}

}  // namespace

Index PatternEngine::count(const Products& products, Index limit) {
    if (products.groups.size() != 1) return 0;
    const GroupProducts& g = products.groups[0];
    std::unordered_map<std::string_view, int> seen;
    for (Index j = 0; j < g.levels; ++j) {
        seen.emplace(key(g, j), 0);
        if (static_cast<Index>(seen.size()) > limit) return 0;
    }
    return static_cast<Index>(seen.size());
}

PatternEngine::PatternEngine(const Products& products, bool reml)
    : products_(&products), reml_(reml), k_(products.groups[0].k), p_(products.p), w_(p_ + 1) {
    const GroupProducts& g = products.groups[0];
    std::unordered_map<std::string_view, std::int32_t> seen;
    for (Index j = 0; j < g.levels; ++j) {
        const auto [it, fresh] = seen.emplace(key(g, j), static_cast<std::int32_t>(seen.size()));
        if (fresh) {
            count_.push_back(0);
            G_.insert(G_.end(), ptr(g.G, j * k_ * k_), ptr(g.G, j * k_ * k_) + k_ * k_);
        }
        pattern_.push_back(it->second);
        ++count_[it->second];
    }
    patterns_ = static_cast<Index>(count_.size());
    S_.assign(patterns_ * pairs() * k_ * k_, 0.0);
    const Index kk = k_ * k_;
    for (Index j = 0; j < g.levels; ++j) {
        const double* C = ptr(g.C, j * k_ * w_);
        double* S = ptr(S_, pattern_[j] * pairs() * kk);
        for (Index y = 0; y < w_; ++y)
            for (Index x = 0; x <= y; ++x) {
                double* out = S + pair(x, y) * kk;
                for (Index b = 0; b < k_; ++b)
                    for (Index a = 0; a < k_; ++a) out[a + b * k_] += C[a + x * k_] * C[b + y * k_];
            }
    }
    D_ = products.D;
}

PatternEngine::PatternEngine(const PatternEngine& other, const Products& products)
    : PatternEngine(other) {
    products_ = &products;
    const GroupProducts& g = products.groups[0];
    Vector Zy(g.levels * k_);
    for (Index j = 0; j < g.levels; ++j)
        std::copy_n(ptr(g.C, (j * w_ + p_) * k_), k_, ptr(Zy, j * k_));
    set_response(Zy.data(), ptr(products.D, p_ * w_));
}

Vector PatternEngine::scores(const double* lambda) const {
    const GroupProducts& g = products_->groups[0];
    const Index k = k_, kk = k * k;
    const Vector inverse = safe_inverse(lambda, k);
    Vector out(g.levels * k), Pi(patterns_ * kk), work(kk), r(k);
    for (Index u = 0; u < patterns_; ++u)
        complement_level<0>(ptr(G_, u * kk), ptr(work_.Linv, u * kk), ptr(work_.P, u * kk),
                            inverse.empty() ? nullptr : inverse.data(), ptr(Pi, u * kk), k,
                            work.data());
    for (Index j = 0; j < g.levels; ++j) {
        const double* C = ptr(g.C, j * k * w_);
        std::copy_n(C + p_ * k, k, r.begin());
        for (Index x = 0; x < p_; ++x) axpy(-beta_[x], C + x * k, r.data(), k);
        multiply<0>(ptr(Pi, pattern_[j] * kk), r.data(), ptr(out, j * k), k, 1);
    }
    return out;
}

template <int K>
void PatternEngine::add_response(const double* Zy) {
    const GroupProducts& g = products_->groups[0];
    const Index k = K ? K : k_, kk = k * k;
    for (Index j = 0; j < g.levels; ++j) {
        const double *C = ptr(g.C, j * k * w_), *y = Zy + j * k;
        double* S = ptr(S_, (pattern_[j] * pairs() + pair(0, p_)) * kk);
        for (Index x = 0; x < w_; ++x) {
            const double* c = x < p_ ? C + x * k : y;
            for (Index b = 0; b < k; ++b)
                for (Index a = 0; a < k; ++a) S[x * kk + a + b * k] += c[a] * y[b];
        }
    }
}

void PatternEngine::set_response(const double* Zy, const double* Dy) {
    const Index kk = k_ * k_;
    for (Index u = 0; u < patterns_; ++u)
        std::fill_n(ptr(S_, (u * pairs() + pair(0, p_)) * kk), w_ * kk, 0.0);
    switch (k_) {
        case 1:
            add_response<1>(Zy);
            break;
        case 2:
            add_response<2>(Zy);
            break;
        case 3:
            add_response<3>(Zy);
            break;
        default:
            add_response<0>(Zy);
    }
    for (Index c = 0; c < w_; ++c) D_[p_ + c * w_] = D_[c + p_ * w_] = Dy[c];
}

Status PatternEngine::evaluate(const Lambdas& lambdas, const std::vector<Direction>& directions,
                               int order, Sums& sums) {
    const double* lambda = lambdas[0].data();
    switch (k_) {
        case 1:
            return run<1>(lambda, directions, order, sums);
        case 2:
            return run<2>(lambda, directions, order, sums);
        case 3:
            return run<3>(lambda, directions, order, sums);
        case 4:
            return run<4>(lambda, directions, order, sums);
        default:
            return run<0>(lambda, directions, order, sums);
    }
}

template <int K>
Status PatternEngine::run(const double* lambda, const std::vector<Direction>& directions, int order,
                          Sums& sums) {
    const Index k = K ? K : k_, kk = k * k, w = w_, p = p_;
    Vector &work = work_.small, &Linv = work_.Linv, &P = work_.P, &Kj = work_.K, &S = work_.S;
    work.resize(2 * kk);
    Linv.resize(patterns_ * kk);
    P.resize(patterns_ * kk);
    Kj.resize(kk);
    S.assign(w * w, 0.0);
    double logdet = 0;
    for (Index c = 0; c < w; ++c)
        for (Index r = c; r < w; ++r) S[r + c * w] = D_[r + c * w];
    for (Index u = 0; u < patterns_; ++u) {
        LogProduct one;
        if (!factor_level<K>(lambda, ptr(G_, u * kk), ptr(Linv, u * kk), ptr(P, u * kk), k, one,
                             work.data()))
            return Status::not_positive_definite;
        logdet += count_[u] * one.value();
        multiply_tn<K>(ptr(P, u * kk), ptr(P, u * kk), Kj.data(), k, k, k);
        const double* Su = ptr(S_, u * pairs() * kk);
        for (Index y = 0; y < w; ++y)
            for (Index x = 0; x <= y; ++x)
                S[y + x * w] -= inner<K>(Kj.data(), Su + pair(x, y) * kk, k);
    }
    sums.logdet_L = logdet;
    const Index factored = cholesky_until(S.data(), w, w);
    if (factored < p) return Status::not_positive_definite;
    if (factored == p) S[w * w - 1] = 0;  // y has no residual; the rest stands
    double fixed = 0;
    for (Index c = 0; c < p; ++c) fixed += std::log(S[c + c * w]);
    sums.logdet_RX = 2 * fixed;
    sums.rss = S[w * w - 1] * S[w * w - 1];
    if (order < kGradient) return Status::ok;

    Vector& gamma = work_.gamma;  // (-beta, 1): r_j = sum_x gamma_x c_jx
    gamma.resize(w);
    for (Index c = 0; c < p; ++c) gamma[c] = S[p + c * w];
    solve_lower_transposed(S.data(), p, w, gamma.data());
    beta_.assign(gamma.begin(), gamma.begin() + p);
    for (Index c = 0; c < p; ++c) gamma[c] = -gamma[c];
    gamma[p] = 1;

    const Index M = static_cast<Index>(directions.size());
    sums.groups.resize(1);
    GroupSums& g = sums.groups[0];
    g.T.assign(kk, 0.0);
    g.P.assign(kk, 0.0);
    g.SU.assign(kk, 0.0);
    g.SS.assign(kk, 0.0);
    const bool average = order >= kAverage;
    if (average) sums.AI.assign(M * M, 0.0);
    Vector& Y = work_.Y;
    Y.assign(average ? p * M : 0, 0.0);
    // (L^-1)_x, the rows of the inverse Cholesky factor of X'V^-1 X, for the projection on X
    Vector &Xinv = work_.Xinv, &info = work_.info;
    Xinv.resize(p * p);
    info.assign(p * p, 0.0);
    if (p > 0) invert_lower(S.data(), p, w, Xinv.data());
    for (Index c = 0; c < p; ++c)
        for (Index r = 0; r < p; ++r) {
            const Index from = std::max(r, c);
            info[r + c * p] = dot(ptr(Xinv, from + r * p), ptr(Xinv, from + c * p), p - from);
        }
    Vector &Pi = work_.Pi, &R = work_.R, &Sx = work_.Sx, &t1 = work_.t1, &t2 = work_.t2,
           &t3 = work_.t3, &A = work_.A, &GA = work_.GA, &F = work_.F, &B = work_.B;
    for (Vector* v : {&Pi, &R, &t1, &t2, &t3, &GA, &F, &B}) v->resize(kk);
    Sx.resize(w * kk);
    A.resize(M * kk);
    const Vector inverse = safe_inverse(lambda, k);
    for (Index u = 0; u < patterns_; ++u) {
        const double *G = ptr(G_, u * kk), *Su = ptr(S_, u * pairs() * kk), *Li = ptr(Linv, u * kk),
                     *Pu = ptr(P, u * kk);
        complement_level<K>(G, Li, Pu, inverse.empty() ? nullptr : inverse.data(), Pi.data(), k,
                            work.data());
        // Sx[x] = sum_j c_jx r_j', R = sum_j r_j r_j'
        std::fill(Sx.begin(), Sx.end(), 0.0);
        std::fill(R.begin(), R.end(), 0.0);
        for (Index x = 0; x < w; ++x) {
            double* out = ptr(Sx, x * kk);
            for (Index y = 0; y < w; ++y) {
                const double* block = Su + pair(std::min(x, y), std::max(x, y)) * kk;
                if (x <= y)
                    for (Index i = 0; i < kk; ++i) out[i] += gamma[y] * block[i];
                else
                    for (Index b = 0; b < k; ++b)
                        for (Index a = 0; a < k; ++a) out[a + b * k] += gamma[y] * block[b + a * k];
            }
            for (Index i = 0; i < kk; ++i) R[i] += gamma[x] * out[i];
        }
        // U = M^-1 lambda' = L^-T P; s = Pi' r, u = U r
        multiply_tn<K>(Li, Pu, t1.data(), k, k, k);
        multiply<K>(Pi.data(), R.data(), t2.data(), k, k);
        for (Index b = 0; b < k; ++b)
            for (Index a = 0; a < k; ++a) {
                double su = 0, ss = 0;
                for (Index l = 0; l < k; ++l) {
                    su += t2[a + l * k] * t1[b + l * k];
                    ss += t2[a + l * k] * Pi[b + l * k];
                }
                g.SU[a + b * k] += su;
                g.SS[a + b * k] += ss;
            }
        // T and P: n_u D and n_u M^-1 lambda'G, less the projection on X
        multiply<K>(Pi.data(), G, t2.data(), k, k);
        multiply<K>(t1.data(), G, t3.data(), k, k);
        for (Index i = 0; i < kk; ++i) g.P[i] += count_[u] * t2[i];
        for (Index i = 0; i < kk; ++i) g.T[i] += count_[u] * t3[i];
        if (reml_ && p > 0) {
            std::fill(F.begin(), F.end(), 0.0);  // sum_xy info_xy sum_j c_jx c_jy'
            for (Index y = 0; y < p; ++y)
                for (Index x = 0; x <= y; ++x) {
                    const double* block = Su + pair(x, y) * kk;
                    const double f = info[x + y * p];
                    for (Index b = 0; b < k; ++b)
                        for (Index a = 0; a < k; ++a)
                            F[a + b * k] += x == y ? f * block[a + b * k]
                                                   : f * (block[a + b * k] + block[b + a * k]);
                }
            multiply<K>(Pi.data(), F.data(), t2.data(), k, k);
            multiply_nt<K>(t2.data(), Pi.data(), t3.data(), k);
            for (Index i = 0; i < kk; ++i) g.P[i] -= t3[i];
            for (Index b = 0; b < k; ++b)
                for (Index a = 0; a < k; ++a)
                    g.T[a + b * k] -= dot(lambda + a * k, ptr(t3, b * k), k);
        }
        if (!average) continue;
        // a_k = A_k r, A_k = v (row of U) + lambda_col (v'Pi'); c = Pi A_k
        for (Index i = 0; i < M; ++i) {
            const Direction& d = directions[i];
            double* Ai = ptr(A, i * kk);
            for (Index b = 0; b < k; ++b) {
                const double f = dot(d.v.data(), ptr(Pi, b * k), k);
                for (Index a = 0; a < k; ++a)
                    Ai[a + b * k] = d.v[a] * t1[d.col + b * k] + lambda[a + d.col * k] * f;
            }
        }
        for (Index i = 0; i < M; ++i) {
            multiply_tn<K>(Pi.data(), ptr(A, i * kk), B.data(), k, k, k);  // Pi A_i
            multiply<K>(G, B.data(), GA.data(), k, k);
            multiply<K>(GA.data(), R.data(), t2.data(), k, k);  // G Pi A_i R
            for (Index j = 0; j <= i; ++j)
                sums.AI[j + i * M] += inner<K>(ptr(A, j * kk), t2.data(), k);
            for (Index x = 0; x < p; ++x) Y[x + i * p] += inner<K>(B.data(), ptr(Sx, x * kk), k);
        }
    }
    if (!average) return Status::ok;
    for (Index i = 0; i < M; ++i) solve_lower(S.data(), p, w, ptr(Y, i * p));
    for (Index i = 0; i < M; ++i)
        for (Index j = 0; j <= i; ++j) {
            sums.AI[j + i * M] -= dot(ptr(Y, j * p), ptr(Y, i * p), p);
            sums.AI[i + j * M] = sums.AI[j + i * M];
        }
    return Status::ok;
}

}  // namespace pp
