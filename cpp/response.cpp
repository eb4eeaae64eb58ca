#include "response.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

namespace {

constexpr Index kKeptRows = 16 * kBlockRows;  // designs up to this size are filled once

// The design alone: the filler then has nothing to take off a response.
Transform without_pilot(Transform t) {
    t.y0 = 0;
    std::fill(t.delta0.begin(), t.delta0.end(), 0.0);
    return t;
}

}  // namespace

ResponseMoments::ResponseMoments(const RowSet& rows, const Products& products)
    : rows_(rows),
      products_(products),
      p_(products.p),
      w_(p_ + 1),
      L_(p_ * p_),
      filler_(rows_, without_pilot(products.transform)),
      y_(std::min(rows.n, kBlockRows)) {
    rows_.y = nullptr;
    delta0.assign(p_, 0.0);
    Dy.assign(w_, 0.0);
    for (Index c = 0; c < p_; ++c) std::copy_n(ptr(products.D, c * w_), p_, ptr(L_, c * p_));
    cholesky(L_.data(), p_, p_);
    for (const GroupProducts& g : products.groups) Zy.emplace_back(g.levels * g.k);
    if (rows_.n > kKeptRows) return;
    for (Index start = 0; start < rows_.n; start += kBlockRows)
        kept_.push_back(filler_.fill(start, std::min(rows_.n, start + kBlockRows), true, true));
}

const Block& ResponseMoments::block(Index start) {
    if (!kept_.empty()) return kept_[static_cast<std::size_t>(start / kBlockRows)];
    return filler_.fill(start, std::min(rows_.n, start + kBlockRows), true, true);
}

void ResponseMoments::response(const double* y, Index start, Index rows, double* out) const {
    for (Index i = 0; i < rows; ++i) out[i] = y[start + i] - y0;
    if (rows_.offset)  // y - y0 first: exact where y is far from zero
        for (Index i = 0; i < rows; ++i) out[i] -= rows_.offset[start + i];
    if (rows_.weights)
        for (Index i = 0; i < rows; ++i) out[i] *= std::sqrt(rows_.weights[start + i]);
}

double ResponseMoments::size(const double* y) const {
    double largest = 0;
    for (Index i = 0; i < rows_.n; ++i) {
        const double v = std::fabs(y[i] - (rows_.offset ? rows_.offset[i] : 0));
        largest = std::max(largest, rows_.weights ? v * std::sqrt(rows_.weights[i]) : v);
    }
    return largest;
}

// out[code * k + a] += z_a y, with one store a run of equal codes: rows often come sorted.
template <int K>
void ResponseMoments::scatter(const Block& b, const std::int32_t* codes, Index offset, Index k_,
                              double* out) const {
    const Index k = K ? K : k_, width = filler_.width();
    double sum[K ? K : 1];
    for (Index i = 0; i < b.rows;) {
        const std::int32_t code = codes[i];
        if (K == 0) {
            const double* z = ptr(b.z, i * width + offset);
            for (Index a = 0; a < k; ++a) out[code * k + a] += z[a] * y_[i];
            ++i;
            continue;
        }
        for (Index a = 0; a < K; ++a) sum[a] = 0;
        for (; i < b.rows && codes[i] == code; ++i) {
            const double* z = ptr(b.z, i * width + offset);
            for (Index a = 0; a < K; ++a) sum[a] += z[a] * y_[i];
        }
        for (Index a = 0; a < K; ++a) out[code * k + a] += sum[a];
    }
}

void ResponseMoments::compute(const double* y) {
    const Index n = rows_.n;
    const bool shift = !products_.transform.constant.empty();
    y0 = shift ? y[0] : 0;
    // Least squares, from X'Wy of the centred response ...
    std::fill(delta0.begin(), delta0.end(), 0.0);
    for (Index start = 0; start < n; start += kBlockRows) {
        const Block& b = block(start);
        response(y, start, b.rows, y_.data());
        for (Index c = 0; c < p_; ++c)
            delta0[c] += long_dot(ptr(b.xy, c * b.stride), y_.data(), b.rows);
    }
    solve_lower(L_.data(), p_, p_, delta0.data());
    solve_lower_transposed(L_.data(), p_, p_, delta0.data());
    // ... and the moments of what it leaves.
    std::fill(Dy.begin(), Dy.end(), 0.0);
    for (Vector& z : Zy) std::fill(z.begin(), z.end(), 0.0);
    for (Index start = 0; start < n; start += kBlockRows) {
        const Block& b = block(start);
        if (n > kBlockRows) response(y, start, b.rows, y_.data());
        for (Index c = 0; c < p_; ++c)
            long_axpy(-delta0[c], ptr(b.xy, c * b.stride), y_.data(), b.rows);
        for (Index c = 0; c < p_; ++c)
            Dy[c] += long_dot(ptr(b.xy, c * b.stride), y_.data(), b.rows);
        Dy[p_] += long_dot(y_.data(), y_.data(), b.rows);
        for (std::size_t g = 0; g < Zy.size(); ++g) {
            const Index k = products_.groups[g].k, offset = filler_.offset(g);
            const std::int32_t* codes = rows_.groups[g].codes + start;
            double* out = Zy[g].data();
            switch (k) {
                case 1:
                    scatter<1>(b, codes, offset, k, out);
                    break;
                case 2:
                    scatter<2>(b, codes, offset, k, out);
                    break;
                case 3:
                    scatter<3>(b, codes, offset, k, out);
                    break;
                default:
                    scatter<0>(b, codes, offset, k, out);
            }
        }
    }
}

Products Moments::replaced(const Products& products, double size) const {
    Products out = products;
    out.transform.y0 = y0;
    out.transform.y_size = size;
    out.transform.delta0 = delta0;
    const Index p = products.p, w = p + 1;
    for (Index c = 0; c < w; ++c) out.D[c + p * w] = out.D[p + c * w] = Dy[c];
    for (std::size_t g = 0; g < Zy.size(); ++g) {
        const Index k = out.groups[g].k;
        for (Index j = 0; j < out.groups[g].levels; ++j)
            std::copy_n(ptr(Zy[g], j * k), k, ptr(out.groups[g].C, (j * w + p) * k));
    }
    return out;
}

}  // namespace pp
