// theta <-> Lambda, and what an evaluation gives, in terms that every engine shares.
#pragma once

#include <limits>
#include <vector>

#include "small.hpp"

namespace pp {

// A random-effects term: columns [offset, offset + k) of its group. theta holds its lower triangle
// by columns, or its diagonal.
struct Term {
    Index group = 0, offset = 0, k = 0;
    bool diagonal = false;
    bool loose = false;  // one coordinate of any sign that is no variance (profile_chart.cpp)
    Index theta = 0;
    Index size() const { return diagonal ? k : k * (k + 1) / 2; }
};

struct Layout {
    std::vector<Term> terms;
    std::vector<Index> group_k;  // columns a group
    Index size = 0;              // elements of theta
};

// One k x k matrix a term: the lambda in use is basis * lower(theta). A permutation (pivoting) or
// the inverse of the columns' transform (the user's coordinates); diagonal terms: diagonal only.
using Basis = std::vector<Vector>;

// One element of theta: d lambda_group / d theta = v e_col' .
struct Direction {
    Index group = 0, col = 0;
    Vector v;
    Index term = 0;
};

// An element of Psi, a >= b: d Psi = e_a e_b' + e_b e_a', or e_a e_a'.
struct Pair {
    Index group = 0, a = 0, b = 0, term = 0;
};

// lambda of every group (k x k, column-major, block diagonal over its terms).
using Lambdas = std::vector<Vector>;

Basis identity_basis(const Layout& layout);
Lambdas make_lambdas(const Layout& layout, const Basis& basis, const double* theta);
// The same into storage that is there already.
void fill_lambdas(const Layout& layout, const Basis& basis, const double* theta, Lambdas& out);
std::vector<Direction> make_directions(const Layout& layout, const Basis& basis);
// The free elements of every term's Psi, in the order of theta.
std::vector<Pair> psi_pairs(const Layout& layout);
// d Psi / d theta of each direction (a column) on the pairs.
Vector pair_coefficients(const std::vector<Pair>& pairs, const std::vector<Direction>& directions,
                         const Lambdas& lambdas);

// Element (row, col) of a term's theta; row >= col, row == col for a diagonal term.
inline Index element(const Term& t, Index row, Index col) {
    return t.diagonal ? t.theta + row : t.theta + col * t.k - col * (col - 1) / 2 + row - col;
}

// Sums that an engine returns; see assemble(). P_jj is [Z'PZ]_jj for REML, [Z'V^-1 Z]_jj for ML.
struct GroupSums {
    Vector T;   // lambda' sum_j P_jj, k x k
    Vector P;   // sum_j P_jj
    Vector SU;  // sum_j s_j u_j'
    Vector SS;  // sum_j s_j s_j'
};

struct Sums {
    double logdet_L = 0;   // log|M|
    double logdet_RX = 0;  // log|X'V^-1 X| in the transformed columns
    double rss = 0;        // penalised residual sum of squares r^2
    std::vector<GroupSums> groups;
    Vector AI;     // a_k' Z'PZ a_l, size x size
    Vector trace;  // tr(P V_k P V_l), exact Hessian only
};

enum class Status { ok, not_positive_definite, not_finite };

struct Evaluation {
    Status status = Status::ok;
    double value = std::numeric_limits<double>::infinity();
    double rss = 0, scale = 0;  // r^2; sigma^2-hat
    Vector gradient, hessian;
    std::vector<Vector> Q;  // gradient with respect to Psi, one k x k a group
    Vector work;
    Vector Q_scale;  // largest diagonal of sum s s' / sigma^2, one a group
};

struct Criterion {
    bool reml = true;
    Index n = 0, p = 0;
    double sum_log_weights = 0;
    double log_det_basis =
        0;  // log|det A| of X~ = X A: REML is the user's, not the scaled one (M8)
    double fixed_scale = 0;  // sigma^2 where it is given, 0 where it is profiled out; ML only
    double nu() const { return static_cast<double>(reml ? n - p : n); }
};

// How much an evaluation computes: the value; beta, u, b too; the gradient; the average-information
// Hessian; the exact Hessian.
constexpr int kValue = 0, kSolution = 1, kGradient = 2, kAverage = 3, kExact = 4;

double objective(const Criterion& c, double logdet_L, double logdet_RX, double rss);

// Value, gradient and Hessian from the sums (M3 to M6).
void assemble(const Criterion& c, const std::vector<Direction>& directions, const Sums& sums,
              int order, Evaluation& out);

}  // namespace pp
