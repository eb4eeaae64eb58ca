// Cross-products of [Z X y]: all that fitting needs of the rows (docs/math.md, M1 and M8).
#pragma once

#include <memory>

#include "columns.hpp"

namespace pp {

// x~ = (x - shift) / scale for every design column, y' = y - offset - y0 - X~ delta0.
// A shift of X is absorbed by the columns in `constant`, which add up to one in every row; a shift
// of Z by the intercept of its term. `mix`, when not empty, is a p x p upper-triangular matrix: the
// columns in use are X~ mix (the second pass of an ill-conditioned design).
struct Transform {
    Vector xshift, xscale, mix, delta0;
    std::vector<Index> constant;
    double y0 = 0;
    double y_size = 0;  // largest sqrt(w) |y - offset| of the pilot rows: the scale of y's rounding
    std::vector<Vector> zshift, zscale;  // one a group, one a column
};

struct GroupProducts {
    Index k = 0, levels = 0;
    Vector G;  // levels x (k x k), Z_j'WZ_j, full symmetric
    Vector C;  // levels x (k x (p+1)), Z_j'W[X y]
};

struct PairProducts {
    Index a = 0, b = 0;               // groups, a < b
    std::vector<Index> start;         // levels of a, plus one
    std::vector<std::int32_t> level;  // level of b, one a stored block
    Vector B;                         // stored blocks x (ka x kb), Z_aj'WZ_bl
};

struct Products {
    Index n = 0, p = 0;
    double sum_log_weights = 0;
    Vector D;  // (p+1) x (p+1), [X y]'W[X y], full symmetric
    std::vector<GroupProducts> groups;
    std::vector<PairProducts> pairs;
    Transform transform;
};

// Shifts and scales from one pass over the columns. `shiftable[g][c]` says whether a column of Z
// may be shifted: its term is unstructured and contains the intercept.
Transform choose_transform(const RowSet& rows, const std::vector<Index>& constant,
                           const std::vector<std::vector<bool>>& shiftable);

// The pilot least-squares fit on the first rows, into transform.y0 and transform.delta0: it keeps
// the residual sum of squares accurate where R^2 is nearly one.
void choose_pilot(const RowSet& rows, Transform& transform);

Products accumulate(const RowSet& rows, const Transform& transform);

// Sum of two sets of products with the same transform and the same levels.
Products merge(const Products& a, const Products& b);

// The smallest share of its own squared length that is left of a column of X after projection on
// the columns before it; 0 where one has nothing left, 1 without columns.
double smallest_pivot(const Products& products);

// Original coordinates: beta = A beta~ + pilot. A is p x p, column-major.
void fixed_basis(const Transform& transform, Index p, double* A, double* pilot);

// T of one group, k x k, with Z~ = Z T; intercept[c] is the intercept's column in the term of c.
void random_basis(const Transform& transform, Index group, Index k, const Index* intercept,
                  double* T);

}  // namespace pp
