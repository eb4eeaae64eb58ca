// One evaluation of the block engine: elimination, the dense Schur complement, back-substitution.
#include "blocks.hpp"

#include <algorithm>
#include <cmath>

#include "level.hpp"

namespace pp {

namespace {

// S~ -= H'H for one level: `nd` scattered columns, then `width` contiguous ones from q on.
template <int K>
void scatter(const double* H, Index k_, const std::int32_t* column, Index nd, Index width, Index q,
             Index m, double* S) {
    const Index k = K ? K : k_;
    for (Index c = 0; c < nd; ++c) {
        double* col = S + column[c] * m;
        const double* hc = H + c * k;
        for (Index d = c; d < nd; ++d) {
            double v = 0;
            for (Index a = 0; a < k; ++a) v += hc[a] * H[a + d * k];
            col[column[d]] -= v;
        }
        const double* tail = H + nd * k;
        for (Index d = 0; d < width; ++d) {
            double v = 0;
            for (Index a = 0; a < k; ++a) v += hc[a] * tail[a + d * k];
            col[q + d] -= v;
        }
    }
    const double* tail = H + nd * k;
    for (Index c = 0; c < width; ++c)
        for (Index d = c; d < width; ++d) {
            double v = 0;
            for (Index a = 0; a < k; ++a) v += tail[a + c * k] * tail[a + d * k];
            S[q + d + (q + c) * m] -= v;
        }
}

}  // namespace

Status BlockEngine::evaluate(const Lambdas& lambdas, const std::vector<Direction>& directions,
                             int order, Sums& sums) {
    lambdas_ = lambdas;
    schur_ = start_;
    for (std::size_t e = 1; e < steps_.size(); ++e) {
        Eliminated& E = steps_[e];
        E.Gw = products_->groups[E.group].G;
        E.Bw = E.B;
        for (std::size_t f = e + 1; f < steps_.size(); ++f) E.Aw[f] = E.A[f];
    }
    LogProduct logdet;
    for (std::size_t e = 0; e < steps_.size(); ++e) {
        const double* lambda = lambdas[steps_[e].group].data();
        bool ok = false;
        switch (steps_[e].k) {
            case 1:
                ok = forward<1>(e, lambda, logdet);
                break;
            case 2:
                ok = forward<2>(e, lambda, logdet);
                break;
            case 3:
                ok = forward<3>(e, lambda, logdet);
                break;
            case 4:
                ok = forward<4>(e, lambda, logdet);
                break;
            default:
                ok = forward<0>(e, lambda, logdet);
        }
        if (!ok) return Status::not_positive_definite;
    }
    sums.logdet_L = logdet.value();
    if (!factor_dense(lambdas, sums)) return Status::not_positive_definite;
    if (order == kValue) return Status::ok;

    sums.groups.resize(products_->groups.size());
    for (std::size_t g = 0; g < sums.groups.size(); ++g) {
        const Index k = products_->groups[g].k;
        sums.groups[g].T.assign(k * k, 0.0);
        sums.groups[g].P.assign(k * k, 0.0);
        sums.groups[g].SU.assign(k * k, 0.0);
        sums.groups[g].SS.assign(k * k, 0.0);
    }
    solve_dense(lambdas);
    for (const DenseGroup& d : dense_) {
        GroupSums& g = sums.groups[d.group];
        for (Index j = 0; j < d.levels; ++j) {
            const double *s = ptr(s_dense_, d.offset + j * d.k),
                         *u = ptr(u_dense_, d.offset + j * d.k);
            for (Index b = 0; b < d.k; ++b)
                for (Index a = 0; a < d.k; ++a) {
                    g.SU[a + b * d.k] += s[a] * u[b];
                    g.SS[a + b * d.k] += s[a] * s[b];
                }
        }
    }
    for (std::size_t e = steps_.size(); e-- > 0;) {
        const double* lambda = lambdas[steps_[e].group].data();
        GroupSums& g = sums.groups[steps_[e].group];
        switch (steps_[e].k) {
            case 1:
                back_substitute<1>(e, lambda, g);
                break;
            case 2:
                back_substitute<2>(e, lambda, g);
                break;
            case 3:
                back_substitute<3>(e, lambda, g);
                break;
            case 4:
                back_substitute<4>(e, lambda, g);
                break;
            default:
                back_substitute<0>(e, lambda, g);
        }
    }
    if (order == kSolution) return Status::ok;
    const Index px = reml_ ? p_ : 0;
    invert_dense(px);
    trace_dense(lambdas, sums, px, order);
    for (std::size_t e = steps_.size(); e-- > 0;) {
        const double* lambda = lambdas[steps_[e].group].data();
        GroupSums& g = sums.groups[steps_[e].group];
        switch (steps_[e].k) {
            case 1:
                trace<1>(e, lambda, g, px);
                break;
            case 2:
                trace<2>(e, lambda, g, px);
                break;
            case 3:
                trace<3>(e, lambda, g, px);
                break;
            case 4:
                trace<4>(e, lambda, g, px);
                break;
            default:
                trace<0>(e, lambda, g, px);
        }
    }
    if (order >= kAverage) average(directions, sums);
    if (order >= kExact) exact_trace(directions, sums);
    return Status::ok;
}

template <int K>
bool BlockEngine::forward(std::size_t e, const double* lambda, LogProduct& logdet) {
    Eliminated& E = steps_[e];
    const Index k = K ? K : E.k, kk = k * k;
    Index widest = 0;
    for (Index j = 0; j < E.levels; ++j) widest = std::max(widest, E.columns(j));
    Vector H(k * (widest + width_)), work(2 * kk);
    if (E.dense_coupling) stack_.assign(m_ * E.levels * k, 0.0);
    const double *G = gram(e), *B = coupling(e);
    for (Index j = 0; j < E.levels; ++j) {
        double* P = ptr(E.P, j * kk);
        if (!factor_level<K>(lambda, G + j * kk, ptr(E.Linv, j * kk), P, k, logdet, work.data()))
            return false;
        const Index nd = E.columns(j);
        const std::int32_t* column = E.column.data() + E.start[j];
        multiply<K>(P, B + E.at(j, width_), H.data(), k, nd + width_);
        if (E.dense_coupling) {
            for (Index a = 0; a < k; ++a) {
                double* row = ptr(stack_, (j * k + a) * m_);
                for (Index c = 0; c < nd; ++c) row[column[c]] = H[a + c * k];
                for (Index c = 0; c < width_; ++c) row[q_ + c] = H[a + (nd + c) * k];
            }
        } else {
            scatter<K>(H.data(), k, column, nd, width_, q_, m_, schur_.data());
        }
        if (e + 1 < steps_.size()) update_parents(e, j, H.data());
    }
    if (E.dense_coupling) dense_rank_update(schur_.data(), stack_.data(), m_, E.levels * k);
    return true;
}

// The Schur update of one level on the groups that it is nested in.
void BlockEngine::update_parents(std::size_t e, Index j, const double* H) {
    Eliminated& E = steps_[e];
    const Index k = E.k, nd = E.columns(j);
    std::vector<Vector> HA(steps_.size());
    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
        if (E.parent[f][j] < 0) continue;
        const Index kf = steps_[f].k;
        HA[f].resize(k * kf);
        multiply<0>(ptr(E.P, j * k * k), parents(e, f) + j * k * kf, HA[f].data(), k, kf);
    }
    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
        const Index l = E.parent[f][j];
        if (l < 0) continue;
        Eliminated& F = steps_[f];
        const Index kf = F.k;
        const auto subtract = [&](const double* a, Index columns, double* out) {
            for (Index c = 0; c < columns; ++c)
                for (Index r = 0; r < kf; ++r)
                    out[r + c * kf] -= dot(ptr(HA[f], r * k), a + c * k, k);
        };
        subtract(HA[f].data(), kf, ptr(F.Gw, l * kf * kf));
        double* B = ptr(F.Bw, F.at(l, width_));
        for (Index c = 0; c < nd; ++c) subtract(H + c * k, 1, B + E.place[f][E.start[j] + c] * kf);
        subtract(H + nd * k, width_, B + F.columns(l) * kf);
        for (std::size_t h = f + 1; h < steps_.size(); ++h)
            if (E.parent[h][j] >= 0)
                subtract(HA[h].data(), steps_[h].k, ptr(F.Aw[h], l * kf * steps_[h].k));
    }
}

// x := Lambda x, or Lambda'x, on the first q rows of each column.
void BlockEngine::apply_lambda(const Lambdas& lambdas, double* x, Index cols, Index ld,
                               bool transpose) const {
    for (const DenseGroup& d : dense_) {
        const double* lambda = lambdas[d.group].data();
        Vector t(d.k);
        for (Index c = 0; c < cols; ++c) {
            double* col = x + c * ld + d.offset;
            if (d.k == 1) {
                for (Index j = 0; j < d.levels; ++j) col[j] *= lambda[0];
                continue;
            }
            for (Index j = 0; j < d.levels; ++j) {
                double* v = col + j * d.k;
                for (Index a = 0; a < d.k; ++a) {
                    double s = 0;
                    for (Index b = 0; b < d.k; ++b)
                        s += (transpose ? lambda[b + a * d.k] : lambda[a + b * d.k]) * v[b];
                    t[a] = s;
                }
                std::copy(t.begin(), t.end(), v);
            }
        }
    }
}

// S = Lambda' S~ Lambda + I on the random effects, its Cholesky factor, and what follows from it.
bool BlockEngine::factor_dense(const Lambdas& lambdas, Sums& sums) {
    mirror_lower(schur_.data(), m_);
    std::copy(schur_.begin(), schur_.end(), chol_.begin());
    apply_lambda(lambdas, chol_.data(), m_, m_, true);
    for (const DenseGroup& d : dense_) {  // from the right: columns of a level are mixed
        const double* lambda = lambdas[d.group].data();
        Vector t(d.k * m_);
        for (Index j = 0; j < d.levels; ++j) {
            double* block = ptr(chol_, (d.offset + j * d.k) * m_);
            if (d.k == 1) {
                for (Index r = 0; r < m_; ++r) block[r] *= lambda[0];
                continue;
            }
            std::fill(t.begin(), t.end(), 0.0);
            for (Index b = 0; b < d.k; ++b)
                for (Index a = 0; a < d.k; ++a)
                    if (lambda[a + b * d.k] != 0)
                        axpy(lambda[a + b * d.k], block + a * m_, ptr(t, b * m_), m_);
            std::copy(t.begin(), t.end(), block);
        }
    }
    for (Index c = 0; c < q_; ++c) chol_[c + c * m_] += 1;
    // The last pivot is the residual sum of squares: where y has none, the rest stands.
    const Index factored = dense_cholesky(chol_.data(), m_, m_);
    if (factored < m_ - 1) return false;
    if (factored == m_ - 1) chol_[m_ * m_ - 1] = 0;
    double random = 0, fixed = 0;
    for (Index c = 0; c < q_; ++c) random += std::log(chol_[c + c * m_]);
    for (Index c = q_; c < q_ + p_; ++c) fixed += std::log(chol_[c + c * m_]);
    sums.logdet_L += 2 * random;
    sums.logdet_RX = 2 * fixed;
    const double last = chol_[m_ * m_ - 1];
    sums.rss = last * last;
    return true;
}

// u, b, s of the dense groups, and beta, from the last row of the Cholesky factor.
void BlockEngine::solve_dense(const Lambdas& lambdas) {
    const Index ma = q_ + p_;
    Vector x(m_);
    for (Index c = 0; c < ma; ++c) x[c] = chol_[m_ - 1 + c * m_];
    solve_lower_transposed(chol_.data(), ma, m_, x.data());
    std::copy_n(x.begin(), q_, u_dense_.begin());
    std::copy_n(x.begin() + q_, p_, beta_.begin());
    apply_lambda(lambdas, x.data(), 1, m_, false);
    std::copy_n(x.begin(), q_, b_dense_.begin());
    x[m_ - 1] = -1;
    for (Index c = 0; c < q_; ++c) s_dense_[c] = -dot(ptr(schur_, c * m_), x.data(), m_);
}

template <int K>
void BlockEngine::back_substitute(std::size_t e, const double* lambda, GroupSums& sums) {
    Eliminated& E = steps_[e];
    const Index k = K ? K : E.k, kk = k * k;
    const double *G = gram(e), *B = coupling(e);
    const Vector inverse = safe_inverse(lambda, k);
    Vector work(kk), r(k), t(k);
    for (Index j = 0; j < E.levels; ++j) {
        const Index nd = E.columns(j);
        const std::int32_t* column = E.column.data() + E.start[j];
        const double* Bj = B + E.at(j, width_);
        const double* C = Bj + nd * k;
        for (Index a = 0; a < k; ++a) r[a] = C[p_ * k + a];
        for (Index c = 0; c < p_; ++c)
            for (Index a = 0; a < k; ++a) r[a] -= C[c * k + a] * beta_[c];
        for (Index c = 0; c < nd; ++c) {
            const double b = b_dense_[column[c]];
            for (Index a = 0; a < k; ++a) r[a] -= Bj[c * k + a] * b;
        }
        for (std::size_t f = e + 1; f < steps_.size(); ++f) {
            const Index l = E.parent[f][j], kf = steps_[f].k;
            if (l < 0) continue;
            const double* A = parents(e, f) + j * k * kf;
            for (Index c = 0; c < kf; ++c)
                for (Index a = 0; a < k; ++a) r[a] -= A[c * k + a] * steps_[f].b[l * kf + c];
        }
        double *u = ptr(E.u, j * k), *b = ptr(E.b, j * k), *s = ptr(E.s, j * k),
               *Pi = ptr(E.Pi, j * kk);
        complement_level<K>(G + j * kk, ptr(E.Linv, j * kk), ptr(E.P, j * kk),
                            inverse.empty() ? nullptr : inverse.data(), Pi, k, work.data());
        multiply<K>(ptr(E.P, j * kk), r.data(), t.data(), k, 1);
        multiply_tn<K>(ptr(E.Linv, j * kk), t.data(), u, k, k, 1);
        multiply<K>(lambda, u, b, k, 1);
        multiply<K>(Pi, r.data(), s, k, 1);
        for (Index y = 0; y < k; ++y)
            for (Index x = 0; x < k; ++x) {
                sums.SU[x + y * k] += s[x] * u[y];
                sums.SS[x + y * k] += s[x] * s[y];
            }
    }
}

Vector BlockEngine::collect(Index group, Vector Eliminated::* field, const Vector& dense) const {
    for (const Eliminated& E : steps_)
        if (E.group == group) return E.*field;
    for (const DenseGroup& d : dense_)
        if (d.group == group)
            return Vector(dense.begin() + d.offset, dense.begin() + d.offset + d.k * d.levels);
    return {};
}

Vector BlockEngine::inverse_information() const {
    Vector L(p_ * p_), inverse(p_ * p_), out(p_ * p_);
    for (Index c = 0; c < p_; ++c)
        for (Index r = c; r < p_; ++r) L[r + c * p_] = chol_[q_ + r + (q_ + c) * m_];
    invert_lower(L.data(), p_, p_, inverse.data());
    for (Index c = 0; c < p_; ++c)
        for (Index r = 0; r < p_; ++r) {
            const Index from = std::max(r, c);
            out[r + c * p_] =
                dot(ptr(inverse, from + r * p_), ptr(inverse, from + c * p_), p_ - from);
        }
    return out;
}

}  // namespace pp
