// Likelihood profiles: the ML deviance along one parameter, minimised over all others at every
// point (docs/math.md, M21).
#pragma once

#include "profile_chart.hpp"

namespace pp {

enum class Parameter { coefficient, sigma, sd, correlation };

struct Target {
    Parameter kind = Parameter::sigma;
    Index term = 0, i = 0, j = 0;  // a column of X; a term and one or two of its columns
};

// How a side of a profile ended: where the last distance asked for was passed; at the end of the
// parameter's range, before that; at the estimate itself, which lies on the boundary; or where no
// optimum could be found.
enum class End { reached, bound, none, failed };

// Points in increasing order of u: the parameter, but log sigma, and asin of a correlation.
struct ProfilePath {
    Vector u, deviance, slope;  // slope: d deviance / du
    Vector parameters;          // a point: kept coefficients, sigma, each term's sds and cors
    Vector failed;              // values of u where the minimiser found no optimum
    End lower = End::none, upper = End::none;
    double estimate = 0, deviance_at_estimate = 0;
    double rate = 0;         // d zeta / du at the estimate, roughly: from a Hessian
    bool undefined = false;  // a correlation beside a standard deviation of zero
    Index evaluations = 0;
};

// plan: by ML; theta: its optimum in the scaled coordinates; distances: increasing values of
// |zeta| near which points are wanted, the last of which is to be passed.
ProfilePath profile(Plan& plan, const Vector& theta, const Target& target, const Vector& distances,
                    const NewtonOptions& options);

}  // namespace pp
