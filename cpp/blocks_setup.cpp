// Elimination order and symbolic work of the block engine: done once a model.
#include <algorithm>
#include <numeric>

#include "blocks.hpp"

namespace pp {

namespace {

// Coupling of group `a` with group `b`, as lists a level of a, ascending in the level of b.
struct Coupling {
    std::vector<Index> start;
    std::vector<std::int32_t> level;
    std::vector<Index> slot;  // stored block of the pair
    const PairProducts* pair = nullptr;
    bool transposed = false;
};

Coupling find_coupling(const Products& products, Index a, Index b) {
    Coupling out;
    for (const PairProducts& pair : products.pairs)
        if ((pair.a == a && pair.b == b) || (pair.a == b && pair.b == a)) out.pair = &pair;
    const PairProducts& pair = *out.pair;
    out.transposed = pair.a != a;
    const Index rows = products.groups[pair.a].levels, cols = products.groups[pair.b].levels;
    const Index nnz = static_cast<Index>(pair.level.size());
    // Transpose once: lists a level of pair.b, ascending in the level of pair.a.
    std::vector<Index> tstart(cols + 1, 0), next;
    for (std::int32_t l : pair.level) ++tstart[l + 1];
    std::partial_sum(tstart.begin(), tstart.end(), tstart.begin());
    std::vector<std::int32_t> tlevel(nnz);
    std::vector<Index> tslot(nnz);
    next.assign(tstart.begin(), tstart.end() - 1);
    for (Index j = 0; j < rows; ++j)
        for (Index s = pair.start[j]; s < pair.start[j + 1]; ++s) {
            const Index to = next[pair.level[s]]++;
            tlevel[to] = static_cast<std::int32_t>(j);
            tslot[to] = s;
        }
    if (out.transposed) {
        out.start = std::move(tstart);
        out.level = std::move(tlevel);
        out.slot = std::move(tslot);
        return out;
    }
    // And back: the same lists, now ascending.
    out.start = pair.start;
    out.level.resize(nnz);
    out.slot.resize(nnz);
    next.assign(pair.start.begin(), pair.start.end() - 1);
    for (Index l = 0; l < cols; ++l)
        for (Index s = tstart[l]; s < tstart[l + 1]; ++s) {
            const Index to = next[tlevel[s]]++;
            out.level[to] = static_cast<std::int32_t>(l);
            out.slot[to] = tslot[s];
        }
    return out;
}

// Is every level of `a` seen with one level of `b` at most?
bool nested(const Products& products, Index a, Index b) {
    for (const PairProducts& pair : products.pairs) {
        if (pair.a == a && pair.b == b) {
            for (std::size_t j = 0; j + 1 < pair.start.size(); ++j)
                if (pair.start[j + 1] - pair.start[j] > 1) return false;
            return true;
        }
        if (pair.a == b && pair.b == a) {
            std::vector<bool> seen(products.groups[a].levels, false);
            for (std::int32_t l : pair.level) {
                if (seen[l]) return false;
                seen[l] = true;
            }
            return true;
        }
    }
    return true;
}

Index effects(const Products& products, Index g) {
    return products.groups[g].levels * products.groups[g].k;
}

// The groups that can be eliminated level by level after `first`: each later one must have at most
// one level with every level eliminated before, so that its own levels stay uncoupled.
std::vector<Index> chain(const Products& products, Index first, const std::vector<Index>& by_size) {
    std::vector<Index> out{first};
    for (Index g : by_size) {
        if (g == first) continue;
        const bool fits =
            std::all_of(out.begin(), out.end(), [&](Index e) { return nested(products, e, g); });
        if (fits) out.push_back(g);
    }
    return out;
}

std::vector<Index> groups_by_size(const Products& P) {
    std::vector<Index> out(P.groups.size());
    std::iota(out.begin(), out.end(), 0);
    std::stable_sort(out.begin(), out.end(),
                     [&](Index a, Index b) { return effects(P, a) > effects(P, b); });
    return out;
}

// The chain of groups that leaves the fewest dense columns; on a tie, the one that starts with the
// largest group.
std::vector<Index> elimination_order(const Products& P, const std::vector<Index>& by_size) {
    std::vector<Index> best{by_size[0]};
    if (by_size.size() == 1) return best;
    Index most = -1;
    for (Index first : by_size) {
        const std::vector<Index> candidate = chain(P, first, by_size);
        Index eliminated = 0;
        for (Index g : candidate) eliminated += effects(P, g);
        if (eliminated > most) {
            most = eliminated;
            best = candidate;
        }
    }
    return best;
}

// A stored block of the pair as (k_a x k_b) of the coupling, into out with leading dimension k_a.
void copy_block(const Coupling& c, Index slot, Index ka, Index kb, double* out) {
    const double* B = ptr(c.pair->B, slot * ka * kb);
    if (!c.transposed) {
        std::copy_n(B, ka * kb, out);
        return;
    }
    for (Index b = 0; b < kb; ++b)
        for (Index a = 0; a < ka; ++a) out[a + b * ka] = B[b + a * kb];
}

}  // namespace

Index BlockEngine::dense_columns(const Products& P) {
    Index columns = P.p + 1;
    for (std::size_t g = 0; g < P.groups.size(); ++g) columns += effects(P, static_cast<Index>(g));
    for (Index g : elimination_order(P, groups_by_size(P))) columns -= effects(P, g);
    return columns;
}

BlockEngine::BlockEngine(std::shared_ptr<const Products> products, const Layout& layout, bool reml,
                         bool eliminate_one)
    : products_(std::move(products)), layout_(layout), reml_(reml) {
    p_ = products_->p;
    width_ = p_ + 1;
    choose_order(eliminate_one);
    for (const DenseGroup& d : dense_) q_ += d.k * d.levels;
    m_ = q_ + width_;
    for (std::size_t e = 0; e < steps_.size(); ++e) couple(e);
    assemble_dense();
    schur_.resize(m_ * m_);
    chol_.resize(m_ * m_);
    beta_.resize(p_);
    u_dense_.resize(q_);
    b_dense_.resize(q_);
    s_dense_.resize(q_);
}

void BlockEngine::choose_order(bool eliminate_one) {
    const Products& P = *products_;
    const std::vector<Index> by_size = groups_by_size(P),
                             best = eliminate_one ? std::vector<Index>{by_size[0]}
                                                  : elimination_order(P, by_size);
    for (Index g : best) {
        Eliminated E;
        E.group = g;
        E.k = P.groups[g].k;
        E.levels = P.groups[g].levels;
        steps_.push_back(std::move(E));
    }
    Index offset = 0;
    for (Index g : by_size) {
        if (std::find(best.begin(), best.end(), g) != best.end()) continue;
        const Index k = P.groups[g].k, levels = P.groups[g].levels;
        dense_.push_back({g, k, levels, offset});
        offset += k * levels;
        scalar_dense_ = scalar_dense_ && k == 1;
    }
}

// The coupling of one eliminated group with the dense columns, X, y, and the groups eliminated
// later.
void BlockEngine::couple(std::size_t e) {
    const Products& P = *products_;
    Eliminated& E = steps_[e];
    const Index k = E.k, J = E.levels;
    std::vector<Coupling> couplings;
    E.start.assign(J + 1, 0);
    for (const DenseGroup& d : dense_) {
        couplings.push_back(find_coupling(P, E.group, d.group));
        for (Index j = 0; j < J; ++j)
            E.start[j + 1] += (couplings.back().start[j + 1] - couplings.back().start[j]) * d.k;
    }
    std::partial_sum(E.start.begin(), E.start.end(), E.start.begin());
    E.column.resize(E.start[J]);
    E.B.resize(k * (E.start[J] + J * width_));
    for (Index j = 0; j < J; ++j) {
        Index to = E.start[j];
        double* B = ptr(E.B, E.at(j, width_));
        for (std::size_t d = 0; d < dense_.size(); ++d) {
            const Coupling& c = couplings[d];
            const DenseGroup& D = dense_[d];
            for (Index s = c.start[j]; s < c.start[j + 1]; ++s) {
                for (Index a = 0; a < D.k; ++a)
                    E.column[to++] = static_cast<std::int32_t>(D.offset + c.level[s] * D.k + a);
                copy_block(c, c.slot[s], k, D.k, B);
                B += k * D.k;
            }
        }
        std::copy_n(ptr(P.groups[E.group].C, j * k * width_), k * width_, B);
    }
    const double stored = static_cast<double>(E.start[J]) + static_cast<double>(J * width_);
    E.dense_coupling = e == 0 && m_ > 24 && stored > 0.5 * static_cast<double>(J * m_);
    E.parent.resize(steps_.size());
    E.A.resize(steps_.size());
    E.place.resize(steps_.size());
    for (std::size_t f = e + 1; f < steps_.size(); ++f) {
        const Coupling c = find_coupling(P, E.group, steps_[f].group);
        const Index kf = steps_[f].k;
        E.parent[f].assign(J, -1);
        E.A[f].assign(J * k * kf, 0.0);
        for (Index j = 0; j < J; ++j) {
            if (c.start[j] == c.start[j + 1]) continue;
            E.parent[f][j] = c.level[c.start[j]];
            copy_block(c, c.slot[c.start[j]], k, kf, ptr(E.A[f], j * k * kf));
        }
    }
    E.P.resize(J * k * k);
    E.Linv.resize(J * k * k);
    E.Pi.resize(J * k * k);
    E.u.resize(J * k);
    E.b.resize(J * k);
    E.s.resize(J * k);
    // Where a level's columns stand in the list of each parent: a child's rows are its parent's
    // rows, so they are all there.
    for (std::size_t d = 0; d < e; ++d) {
        Eliminated& child = steps_[d];
        child.place[e].resize(child.column.size());
        for (Index j = 0; j < child.levels; ++j) {
            const Index l = child.parent[e][j];
            if (l < 0) continue;
            Index at = E.start[l];
            for (Index s = child.start[j]; s < child.start[j + 1]; ++s) {
                while (E.column[at] != child.column[s]) ++at;
                child.place[e][s] = static_cast<std::int32_t>(at - E.start[l]);
            }
        }
    }
    if (e > 0) {
        E.Gw.resize(J * k * k);
        E.Bw.resize(E.B.size());
        E.Aw.resize(steps_.size());
        E.kappa.resize(J * k * k);
        E.kappa_c.resize(E.B.size());
        E.kappa_a.resize(steps_.size());
        for (std::size_t f = e + 1; f < steps_.size(); ++f) {
            E.Aw[f].resize(E.A[f].size());
            E.kappa_a[f].resize(E.A[f].size());
        }
    }
}

// Cross-products of the dense groups, X and y, lower triangle.
void BlockEngine::assemble_dense() {
    const Products& P = *products_;
    start_.assign(m_ * m_, 0.0);
    for (const DenseGroup& d : dense_) {
        const GroupProducts& g = P.groups[d.group];
        for (Index j = 0; j < d.levels; ++j)
            for (Index a = 0; a < d.k; ++a) {
                const Index c = d.offset + j * d.k + a;
                for (Index b = a; b < d.k; ++b)
                    start_[d.offset + j * d.k + b + c * m_] = g.G[(j * d.k + a) * d.k + b];
                for (Index x = 0; x < width_; ++x)
                    start_[q_ + x + c * m_] = g.C[(j * width_ + x) * d.k + a];
            }
    }
    for (std::size_t x = 0; x < dense_.size(); ++x)
        for (std::size_t y = x + 1; y < dense_.size(); ++y) {
            const DenseGroup &a = dense_[x], &b = dense_[y];  // b's columns come later: rows
            const Coupling c = find_coupling(P, a.group, b.group);
            Vector block(a.k * b.k);
            for (Index j = 0; j < a.levels; ++j)
                for (Index s = c.start[j]; s < c.start[j + 1]; ++s) {
                    copy_block(c, c.slot[s], a.k, b.k, block.data());
                    for (Index i = 0; i < a.k; ++i)
                        for (Index l = 0; l < b.k; ++l)
                            start_[b.offset + c.level[s] * b.k + l +
                                   (a.offset + j * a.k + i) * m_] = block[i + l * a.k];
                }
        }
    for (Index c = 0; c < width_; ++c)
        for (Index r = c; r < width_; ++r) start_[q_ + r + (q_ + c) * m_] = P.D[r + c * width_];
}

}  // namespace pp
