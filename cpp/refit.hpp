// Many responses on the same rows (bootstrap, mass-univariate fits).
#pragma once

#include "plan.hpp"
#include "response.hpp"

namespace pp {

struct RefitResult {
    Vector theta, beta, sigma, value, converged;  // a response: K, p, 1, 1, 1
};

// y is responses x n, row-major. theta in the user's coordinates.
RefitResult refit_many(Plan& plan, const RowSet& rows, const double* y, Index responses,
                       const Vector& start, const NewtonOptions& options);

// The same from Z_j'Wy (responses x levels x k, row-major), X'Wy (responses x p) and y'Wy, in the
// transformed columns; one grouping factor. A constant in y comes back in beta.
RefitResult refit_moments(Plan& plan, const double* Zy, const double* Xy, const double* yy,
                          Index responses, const Vector& start, const NewtonOptions& options);

}  // namespace pp
