// Coordinates of a model whose one parameter is held fixed: what is left to minimise over, for the
// minimiser of newton.hpp (docs/math.md, M21).
#pragma once

#include "plan.hpp"

namespace pp {

// Which parameter is held: none (sigma profiled out), the residual standard deviation, the standard
// deviation of column i of a term, the same at exactly zero, or the correlation of columns i and j.
enum class Held { none, sigma, sd, zero, correlation };

// A term is turned by an orthogonal basis of its scaled columns so that the fixed standard
// deviation is one element of its first column (the correlation: three of its first two), and all
// that remains of the term is free:
//
//     sd           lambda_11 = c / (sigma |t|);  free: log sigma, the rest of column 1, the rest
//     correlation  lambda_11 = x,  lambda_21 = kappa sin(u) s - beta / gamma x,
//                  lambda_22 = kappa cos(u) s,  x = a^2 and s = b^2;  free: a, b, the rest
//
// t is the row of the columns' transform that gives the user's column. Squares, since a negative x
// or s would be another correlation; u is the angle whose sine is the correlation, smooth to the
// ends.
class Chart : public Objective {
   public:
    Chart(Plan& plan, Held held, Index term = 0, Index i = 0, Index j = 0, double log_sigma = 0);

    const Layout& layout() const override { return layout_; }
    void evaluate(const Basis& basis, const double* z, int order, Evaluation& out) override;

    // Where the parameter is held: log sigma, the standard deviation, or the angle.
    void hold(double u) { u_ = u; }
    // The coordinates of a covariance, given as theta of the scaled columns; `u` is its parameter.
    Vector coordinates(const double* theta, double& u) const;

    // d value / d u of the last evaluation with a gradient.
    double slope() const { return full_gradient_.back(); }
    // The same on the right of a standard deviation of zero, after Held::zero.
    double slope_at_zero() const;
    // Curvature of the minimised value along u, and dz/du (empty where the Hessian is not
    // definite), of the last evaluation with a Hessian.
    double curvature(Vector& tangent) const;
    int last_order() const { return last_order_; }
    Index evaluations() const { return evaluations_; }
    double scale() const { return scale_; }
    const Lambdas& lambdas() const { return lambdas_; }
    // Of the last evaluation: the covariance over sigma^2 of each term in the scaled columns.
    Vector psi(Index term) const;
    // Is one of the two standard deviations of a correlation below this, in sigma?
    bool at_end(const Vector& z, double size) const;

   private:
    void lay_out();
    void place_directions(const Basis& basis);
    void place(const double* z);
    void chain(Evaluation& out, int order);
    void turn_scores(Vector& Q);
    bool fixed_scale() const { return held_ == Held::sigma || held_ == Held::sd; }
    Index columns() const { return layout_.size; }

    Plan& plan_;
    Held held_;
    Index term_, leading_ = 0, k_ = 0, offset_ = 0, group_ = 0;
    double log_sigma_, u_ = 0;
    // t_i = length b_1;  t_j = beta b_1 + gamma b_2, of length_j; kappa = length_j / gamma and
    // ratio = beta / gamma.
    double length_ = 1, length_j_ = 1, beta_ = 0, gamma_ = 1, kappa_ = 1, ratio_ = 0;
    Vector B_;  // k x k
    Layout layout_;
    // Places: of the first element of the held term among the coordinates, and among the raw
    // elements of lambda; of the trailing block's term in layout_.
    Index first_ = 0, trailing_ = -1;
    Basis basis_;
    std::vector<Direction> directions_;
    Lambdas lambdas_;
    Vector raw_, J_, full_gradient_, full_hessian_, work_, scores_;
    double a_ = 0, b_ = 0;  // the roots of the correlation's standard deviations
    Evaluation full_;
    double scale_ = 0;
    int last_order_ = 0;
    Index evaluations_ = 0;
};

// An orthogonal basis (k x k, by columns) whose first columns span the `count` rows, in their
// order. Of unit rows it is a permutation.
void span_rows(const Vector& rows, Index count, Index k, Vector& B);

}  // namespace pp
