#include "products.hpp"

#include "filler.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

namespace {

constexpr Index kPilotRows = 8192;

void add_outer(const Block& block, Index p, Index from, double* D) {
    for (Index c = from; c <= p; ++c)
        for (Index r = 0; r <= c; ++r)
            D[r + c * (p + 1)] += long_dot(ptr(block.xy, r * block.stride),
                                           ptr(block.xy, c * block.stride), block.rows);
}

void mirror_upper(double* D, Index m) {
    for (Index c = 0; c < m; ++c)
        for (Index r = 0; r < c; ++r) D[c + r * m] = D[r + c * m];
}

// G_j and C_j of the rows of a block. C is accumulated for columns [from, p].
template <int K>
void add_group(const Block& block, Index start, const GroupRows& rows, Index offset, Index width,
               Index p, Index from, bool gram, GroupProducts& out) {
    const Index k = K ? K : out.k;
    for (Index i = 0; i < block.rows; ++i) {
        const Index j = rows.codes[start + i];
        const double* z = ptr(block.z, i * width + offset);
        if (gram) {
            double* G = ptr(out.G, j * k * k);
            for (Index b = 0; b < k; ++b)
                for (Index a = 0; a < k; ++a) G[a + b * k] += z[a] * z[b];
        }
        double* C = ptr(out.C, j * k * (p + 1));
        for (Index c = from; c <= p; ++c) {
            const double x = block.xy[i + c * block.stride];
            for (Index a = 0; a < k; ++a) C[a + c * k] += z[a] * x;
        }
    }
}

void add_groups(const Block& block, Index start, const RowSet& rows, const Filler& filler,
                Index from, bool gram, std::vector<GroupProducts>& out) {
    for (std::size_t g = 0; g < rows.groups.size(); ++g) {
        const auto add = [&](auto kernel) {
            kernel(block, start, rows.groups[g], filler.offset(g), filler.width(), rows.p(), from,
                   gram, out[g]);
        };
        switch (out[g].k) {
            case 1:
                add(add_group<1>);
                break;
            case 2:
                add(add_group<2>);
                break;
            case 3:
                add(add_group<3>);
                break;
            default:
                add(add_group<0>);
        }
    }
}

// Which stored block of the pair each row belongs to; fills start and level.
std::vector<std::int32_t> index_pair(const GroupRows& a, const GroupRows& b, Index n,
                                     const std::vector<std::int32_t>& order,
                                     const std::vector<Index>& first, PairProducts& pair) {
    std::vector<std::int32_t> slot(n);
    std::vector<Index> mark(b.levels, -1);
    pair.start.assign(1, 0);
    pair.start.reserve(a.levels + 1);
    for (Index j = 0; j < a.levels; ++j) {
        const Index base = static_cast<Index>(pair.level.size());
        for (Index r = first[j]; r < first[j + 1]; ++r) {
            const Index i = order[r];
            const std::int32_t l = b.codes[i];
            if (mark[l] < base) {
                mark[l] = static_cast<Index>(pair.level.size());
                pair.level.push_back(l);
            }
            slot[i] = static_cast<std::int32_t>(mark[l]);
        }
        pair.start.push_back(static_cast<Index>(pair.level.size()));
    }
    return slot;
}

// Rows in the order of a group's levels (counting sort); first[j] is where level j begins.
std::vector<std::int32_t> sort_rows(const GroupRows& g, Index n, std::vector<Index>& first) {
    first.assign(g.levels + 1, 0);
    for (Index i = 0; i < n; ++i) ++first[g.codes[i] + 1];
    for (Index j = 0; j < g.levels; ++j) first[j + 1] += first[j];
    std::vector<Index> next(first.begin(), first.end() - 1);
    std::vector<std::int32_t> order(n);
    for (Index i = 0; i < n; ++i) order[next[g.codes[i]]++] = static_cast<std::int32_t>(i);
    return order;
}

void add_pair(const Block& block, Index start, Index oa, Index ka, Index ob, Index kb, Index width,
              const std::vector<std::int32_t>& slot, PairProducts& pair) {
    for (Index i = 0; i < block.rows; ++i) {
        const double* z = ptr(block.z, i * width);
        double* B = ptr(pair.B, static_cast<Index>(slot[start + i]) * ka * kb);
        for (Index b = 0; b < kb; ++b)
            for (Index a = 0; a < ka; ++a) B[a + b * ka] += z[oa + a] * z[ob + b];
    }
}

struct Spread {
    double shift, scale;
};

// Mean and root mean square deviation of one column, in two stable passes over blocks.
Spread spread(const Column& column, Index n) {
    Vector x(std::min(n, kBlockRows));
    column.fill(0, 1, x.data());
    const double first = x[0];
    double sum = 0, squares = 0;
    for (Index start = 0; start < n; start += kBlockRows) {
        const Index stop = std::min(n, start + kBlockRows);
        column.fill(start, stop, x.data());
        double s = 0, q = 0;
        for (Index i = 0; i < stop - start; ++i) {
            const double d = x[i] - first;
            s += d;
            q += d * d;
        }
        sum += s;
        squares += q;
    }
    const double mean = sum / static_cast<double>(n);
    double variance = squares / static_cast<double>(n) - mean * mean;
    if (variance < 1e-8 * squares / static_cast<double>(n)) {  // the first value is far out
        variance = 0;
        for (Index start = 0; start < n; start += kBlockRows) {
            const Index stop = std::min(n, start + kBlockRows);
            column.fill(start, stop, x.data());
            for (Index i = 0; i < stop - start; ++i) {
                const double d = (x[i] - first) - mean;
                variance += d * d;
            }
        }
        variance /= static_cast<double>(n);
    }
    return {first + mean, std::sqrt(variance)};
}

Spread column_transform(const Column& column, Index n, bool shift) {
    if (column.numeric.empty()) return {0, 1};  // an intercept or dummies: already of unit size
    const Spread s = spread(column, n);
    const double size = std::hypot(s.shift, s.scale);
    const bool varies = s.scale > 1e-13 * std::fabs(s.shift);
    if (!(size > 0) || !std::isfinite(size)) return {0, 1};
    if (shift && varies) return s;
    return {0, size};
}

}  // namespace

Transform choose_transform(const RowSet& rows, const std::vector<Index>& constant,
                           const std::vector<std::vector<bool>>& shiftable) {
    Transform t;
    t.constant = constant;
    std::vector<bool> spans(rows.fixed.size(), false);
    for (Index c : constant) spans[c] = true;
    for (std::size_t c = 0; c < rows.fixed.size(); ++c) {
        const Spread s =
            spans[c] ? Spread{0, 1} : column_transform(rows.fixed[c], rows.n, !constant.empty());
        t.xshift.push_back(s.shift);
        t.xscale.push_back(s.scale);
    }
    double weight = 0;
    for (Index i = 0; rows.weights && i < rows.n; ++i)
        weight += rows.weights[i] / static_cast<double>(rows.n);
    // Weights of ordinary size are left alone; a power of two rounds nothing.
    const bool ordinary = !(weight > 0) || std::fabs(std::log2(weight)) < 10;
    const double unit =
        ordinary || !std::isfinite(weight) ? 1 : std::exp2(std::round(0.5 * std::log2(weight)));
    for (std::size_t g = 0; g < rows.groups.size(); ++g) {
        Vector shift, scale;
        for (std::size_t c = 0; c < rows.groups[g].columns.size(); ++c) {
            const Spread s = column_transform(rows.groups[g].columns[c], rows.n, shiftable[g][c]);
            shift.push_back(s.shift);
            scale.push_back(s.scale);
        }
        // With weights around c, Psi is around 1/c of what it would be: scaled to be of unit size.
        for (double& s : scale) s *= unit;
        t.zshift.push_back(std::move(shift));
        t.zscale.push_back(std::move(scale));
    }
    t.delta0.assign(rows.fixed.size(), 0.0);
    return t;
}

void choose_pilot(const RowSet& rows, Transform& t) {
    const Index p = rows.p(), m = std::min(rows.n, kPilotRows), w = p + 1;
    t.y0 = 0;
    t.delta0.assign(p, 0.0);
    t.y_size = 0;
    for (Index i = 0; i < m; ++i) {
        const double v = std::fabs(rows.y[i] - (rows.offset ? rows.offset[i] : 0));
        t.y_size = std::max(t.y_size, rows.weights ? v * std::sqrt(rows.weights[i]) : v);
    }
    if (!t.constant.empty()) {
        double sum = 0;
        const double first = rows.y[0] - (rows.offset ? rows.offset[0] : 0);
        for (Index i = 0; i < m; ++i)
            sum += (rows.y[i] - (rows.offset ? rows.offset[i] : 0)) - first;
        t.y0 = first + sum / static_cast<double>(m);
    }
    Filler filler(rows, t);
    Vector D(w * w, 0.0);
    for (Index start = 0; start < m; start += kBlockRows)
        add_outer(filler.fill(start, std::min(m, start + kBlockRows), true, false), p, 0, D.data());
    mirror_upper(D.data(), w);
    // Sequential Cholesky; a column with nothing left of its own takes no part in the pilot.
    Vector L(w * w, 0.0), x(p, 0.0);
    std::vector<bool> kept(p, false);
    for (Index c = 0; c < p; ++c) {
        for (Index r = c; r < w; ++r) {
            double v = D[r + c * w];
            for (Index k = 0; k < c; ++k)
                if (kept[k]) v -= L[r + k * w] * L[c + k * w];
            L[r + c * w] = v;
        }
        if (!(L[c + c * w] > 1e-10 * D[c + c * w])) continue;
        kept[c] = true;
        const double d = std::sqrt(L[c + c * w]);
        for (Index r = c; r < w; ++r) L[r + c * w] /= d;
    }
    for (Index c = p; c-- > 0;) {
        if (!kept[c]) continue;
        double v = L[p + c * w];
        for (Index k = c + 1; k < p; ++k)
            if (kept[k]) v -= L[k + c * w] * x[k];
        x[c] = v / L[c + c * w];
    }
    for (Index c = 0; c < p; ++c) t.delta0[c] = std::isfinite(x[c]) ? x[c] : 0;
}

Products accumulate(const RowSet& rows, const Transform& transform) {
    Products out;
    const Index n = rows.n, p = rows.p(), w = p + 1;
    out.n = n;
    out.p = p;
    out.transform = transform;
    out.D.assign(w * w, 0.0);
    if (rows.weights)
        for (Index i = 0; i < n; ++i) out.sum_log_weights += std::log(rows.weights[i]);
    for (const GroupRows& g : rows.groups) {
        GroupProducts gp;
        gp.k = g.k();
        gp.levels = g.levels;
        gp.G.assign(g.levels * gp.k * gp.k, 0.0);
        gp.C.assign(g.levels * gp.k * w, 0.0);
        out.groups.push_back(std::move(gp));
    }
    std::vector<std::vector<std::int32_t>> slots;
    for (std::size_t a = 0; a + 1 < rows.groups.size(); ++a) {
        std::vector<Index> first;
        const auto order = sort_rows(rows.groups[a], n, first);
        for (std::size_t b = a + 1; b < rows.groups.size(); ++b) {
            PairProducts pair;
            pair.a = static_cast<Index>(a);
            pair.b = static_cast<Index>(b);
            slots.push_back(index_pair(rows.groups[a], rows.groups[b], n, order, first, pair));
            pair.B.assign(pair.level.size() * rows.groups[a].k() * rows.groups[b].k(), 0.0);
            out.pairs.push_back(std::move(pair));
        }
    }
    Filler filler(rows, transform);
    for (Index start = 0; start < n; start += kBlockRows) {
        const Block& block = filler.fill(start, std::min(n, start + kBlockRows), true, true);
        add_outer(block, p, 0, out.D.data());
        add_groups(block, start, rows, filler, 0, true, out.groups);
        for (std::size_t q = 0; q < out.pairs.size(); ++q) {
            PairProducts& pair = out.pairs[q];
            add_pair(block, start, filler.offset(pair.a), rows.groups[pair.a].k(),
                     filler.offset(pair.b), rows.groups[pair.b].k(), filler.width(), slots[q],
                     pair);
        }
    }
    mirror_upper(out.D.data(), w);
    return out;
}

Products merge(const Products& a, const Products& b) {
    Products out = a;
    out.n += b.n;
    out.sum_log_weights += b.sum_log_weights;
    for (std::size_t i = 0; i < out.D.size(); ++i) out.D[i] += b.D[i];
    for (std::size_t g = 0; g < out.groups.size(); ++g) {
        for (std::size_t i = 0; i < out.groups[g].G.size(); ++i)
            out.groups[g].G[i] += b.groups[g].G[i];
        for (std::size_t i = 0; i < out.groups[g].C.size(); ++i)
            out.groups[g].C[i] += b.groups[g].C[i];
    }
    for (std::size_t q = 0; q < out.pairs.size(); ++q) {
        const PairProducts &x = a.pairs[q], &y = b.pairs[q];
        PairProducts& z = out.pairs[q];
        const Index size = a.groups[x.a].k * a.groups[x.b].k, levels = a.groups[x.a].levels;
        std::vector<Index> mark(a.groups[x.b].levels, -1);
        z.start.assign(1, 0);
        z.level.clear();
        z.B.clear();
        const auto take = [&](const PairProducts& from, Index j) {
            const Index base = z.start.back();
            for (Index s = from.start[j]; s < from.start[j + 1]; ++s) {
                const std::int32_t l = from.level[s];
                if (mark[l] < base) {
                    mark[l] = static_cast<Index>(z.level.size());
                    z.level.push_back(l);
                    z.B.resize(z.B.size() + size, 0.0);
                }
                axpy(1, ptr(from.B, s * size), ptr(z.B, mark[l] * size), size);
            }
        };
        for (Index j = 0; j < levels; ++j) {
            take(x, j);
            take(y, j);
            z.start.push_back(static_cast<Index>(z.level.size()));
        }
    }
    return out;
}

double smallest_pivot(const Products& P) {
    const Index p = P.p, w = p + 1;
    Vector L(p * p);
    double smallest = 1;
    for (Index c = 0; c < p; ++c) {
        for (Index r = c; r < p; ++r) {
            double v = P.D[r + c * w];
            for (Index k = 0; k < c; ++k) v -= L[r + k * p] * L[c + k * p];
            L[r + c * p] = v;
        }
        const double own = P.D[c + c * w], left = L[c + c * p];
        if (!(left > 1e-14 * own)) return 0;
        smallest = std::min(smallest, left / own);
        const double d = std::sqrt(left);
        for (Index r = c; r < p; ++r) L[r + c * p] /= d;
    }
    return smallest;
}

void fixed_basis(const Transform& t, Index p, double* A, double* pilot) {
    std::fill_n(A, p * p, 0.0);
    for (Index c = 0; c < p; ++c) {
        A[c + c * p] = 1 / t.xscale[c];
        for (Index r : t.constant) A[r + c * p] -= t.xshift[c] / t.xscale[c];
    }
    if (!t.mix.empty()) {
        Vector B(p * p, 0.0);
        for (Index c = 0; c < p; ++c)
            for (Index k = 0; k <= c; ++k) axpy(t.mix[k + c * p], A + k * p, ptr(B, c * p), p);
        std::copy(B.begin(), B.end(), A);
    }
    std::fill_n(pilot, p, 0.0);
    for (Index c = 0; c < p; ++c) axpy(t.delta0[c], A + c * p, pilot, p);
    for (Index r : t.constant) pilot[r] += t.y0;
}

void random_basis(const Transform& t, Index group, Index k, const Index* intercept, double* T) {
    std::fill_n(T, k * k, 0.0);
    for (Index c = 0; c < k; ++c) {
        T[c + c * k] = 1 / t.zscale[group][c];
        if (t.zshift[group][c] != 0)
            T[intercept[c] + c * k] = -t.zshift[group][c] / t.zscale[group][c];
    }
}

}  // namespace pp
