// Blocks of rows of the weighted, shifted and scaled design.
#pragma once

#include <algorithm>
#include <cmath>

#include "products.hpp"

namespace pp {

// A block of rows of sqrt(w) [X~ mix, y'] (column-major, `stride` apart) and sqrt(w) Z~
// (row-major).
struct Block {
    Index rows = 0, stride = 0;
    Vector xy, z, root, scratch;  // of the last, only the filler's use
};

class Filler {
   public:
    Filler(const RowSet& rows, Transform t) : rows_(rows), t_(std::move(t)), p_(rows.p()) {
        Index k = 0;
        for (const GroupRows& g : rows.groups) offsets_.push_back(k), k += g.k();
        width_ = k;
        const Index stride = block_.stride = std::min(rows.n, kBlockRows);
        block_.xy.resize(stride * (p_ + 1));
        block_.z.resize(stride * k);
        if (rows.weights) block_.root.resize(stride);
        if (!t_.mix.empty()) block_.scratch.resize(stride * p_);
    }

    // `fixed`: X too, not y alone; `random`: Z too.
    const Block& fill(Index start, Index stop, bool fixed, bool random) {
        const Index m = block_.rows = stop - start;
        double* root = block_.root.data();
        if (rows_.weights)
            for (Index i = 0; i < m; ++i) root[i] = std::sqrt(rows_.weights[start + i]);
        fill_response(start, m, fixed);
        if (random) fill_random(start, stop);
        if (rows_.weights) {
            for (Index c = fixed ? 0 : p_; c <= p_; ++c) {
                double* x = ptr(block_.xy, c * block_.stride);
                for (Index i = 0; i < m; ++i) x[i] *= root[i];
            }
            if (random)
                for (Index i = 0; i < m; ++i)
                    for (Index c = 0; c < width_; ++c) block_.z[i * width_ + c] *= root[i];
        }
        return block_;
    }
    Index offset(std::size_t g) const { return offsets_[g]; }
    Index width() const { return width_; }

   private:
    void fill_response(Index start, Index m, bool fixed) {
        const bool pilot =
            std::any_of(t_.delta0.begin(), t_.delta0.end(), [](double d) { return d != 0; });
        double* y = ptr(block_.xy, p_ * block_.stride);
        if (rows_.y) {
            for (Index i = 0; i < m; ++i) y[i] = rows_.y[start + i];
            if (rows_.offset)
                for (Index i = 0; i < m; ++i) y[i] -= rows_.offset[start + i];
            for (Index i = 0; i < m; ++i) y[i] -= t_.y0;
        }
        if (!fixed && !pilot) return;
        for (Index c = 0; c < p_; ++c) {
            double* x = ptr(block_.xy, c * block_.stride);
            rows_.fixed[c].fill(start, start + m, x);
            const double shift = t_.xshift[c], inverse = 1 / t_.xscale[c];
            if (shift != 0 || inverse != 1)
                for (Index i = 0; i < m; ++i) x[i] = (x[i] - shift) * inverse;
        }
        if (!t_.mix.empty()) apply_mix(m);
        for (Index c = 0; c < p_; ++c)
            if (pilot && t_.delta0[c] != 0)
                axpy(-t_.delta0[c], ptr(block_.xy, c * block_.stride), y, m);
    }

    void apply_mix(Index m) {
        std::copy(block_.xy.begin(), block_.xy.begin() + p_ * block_.stride,
                  block_.scratch.begin());
        for (Index c = 0; c < p_; ++c) {
            double* out = ptr(block_.xy, c * block_.stride);
            std::fill(out, out + m, 0.0);
            for (Index r = 0; r <= c; ++r)
                axpy(t_.mix[r + c * p_], ptr(block_.scratch, r * block_.stride), out, m);
        }
    }

    void fill_random(Index start, Index stop) {
        for (std::size_t g = 0; g < rows_.groups.size(); ++g) {
            const Columns& columns = rows_.groups[g].columns;
            for (std::size_t c = 0; c < columns.size(); ++c) {
                double* z = ptr(block_.z, offsets_[g] + static_cast<Index>(c));
                columns[c].fill(start, stop, z, width_);
                const double shift = t_.zshift[g][c], inverse = 1 / t_.zscale[g][c];
                if (shift != 0 || inverse != 1)
                    for (Index i = 0; i < stop - start; ++i)
                        z[i * width_] = (z[i * width_] - shift) * inverse;
            }
        }
    }

    const RowSet& rows_;
    const Transform t_;
    Index p_, width_ = 0;
    std::vector<Index> offsets_;
    Block block_;
};

}  // namespace pp
