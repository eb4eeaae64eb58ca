// Design columns as recipes: products of numeric columns and of table look-ups by factor code.
// A factor's dummies are never stored; blocks of rows are filled when they are needed.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "small.hpp"

namespace pp {

struct Lookup {
    const std::int32_t* codes;
    const double* table;
};

struct Column {
    std::vector<const double*> numeric;
    std::vector<Lookup> lookups;

    bool is_constant() const { return numeric.empty() && lookups.empty(); }

    // Values of rows [start, stop) to out, `stride` apart. A code of -1 gives NaN.
    void fill(Index start, Index stop, double* out, Index stride = 1) const {
        const Index m = stop - start;
        if (numeric.empty()) {
            for (Index i = 0; i < m; ++i) out[i * stride] = 1;
        } else {
            const double* x = numeric[0] + start;
            for (Index i = 0; i < m; ++i) out[i * stride] = x[i];
        }
        for (std::size_t k = 1; k < numeric.size(); ++k) {
            const double* x = numeric[k] + start;
            for (Index i = 0; i < m; ++i) out[i * stride] *= x[i];
        }
        for (const Lookup& l : lookups) {
            const std::int32_t* c = l.codes + start;
            for (Index i = 0; i < m; ++i)
                out[i * stride] *=
                    c[i] < 0 ? std::numeric_limits<double>::quiet_NaN() : l.table[c[i]];
        }
    }
};

using Columns = std::vector<Column>;

// A grouping factor with the columns of all terms on it, in the order of the terms.
struct GroupRows {
    const std::int32_t* codes;
    Index levels;
    Columns columns;
    Index k() const { return static_cast<Index>(columns.size()); }
};

// Views of the used rows; whoever builds it keeps the arrays alive.
struct RowSet {
    Index n = 0;
    const double* y = nullptr;
    const double* weights = nullptr;  // null: all one
    const double* offset = nullptr;   // null: all zero
    Columns fixed;
    std::vector<GroupRows> groups;
    Index p() const { return static_cast<Index>(fixed.size()); }
};

constexpr Index kBlockRows = 2048;  // calibrated: a block of ten columns stays in the L2 cache

}  // namespace pp
