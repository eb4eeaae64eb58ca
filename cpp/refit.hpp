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

}  // namespace pp
