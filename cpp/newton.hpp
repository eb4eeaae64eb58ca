// Trust-region Newton on sign-free Cholesky parameters (docs/math.md, M7): no bounds, since the
// objective depends on lambda lambda' only; the Karush-Kuhn-Tucker conditions are checked on the
// cone of covariance matrices, and the signs are put right at the end.
#pragma once

#include "layout.hpp"

namespace pp {

struct NewtonOptions {
    double tolerance = 1e-9;
    Index max_evaluations = 500;
    double rows = 0, total = 0;  // n and y'Wy: a residual sum of squares far below it is none
    bool report = true;          // the log and the smallest eigenvalue: not for thousands of refits
    bool exact_tail = false;     // exact Hessians once average information converges linearly only
    bool other_starts = false;
    bool polish = true;  // one more step when the last decrement still shows: cheap on small models
};

struct LogEntry {
    Index evaluation;
    double value, decrement, radius;
    bool accepted;
};

enum class Outcome { converged, max_evaluations, no_progress, failed, unbounded };

struct Minimum {
    Outcome outcome = Outcome::failed;
    Vector theta;            // scaled coordinates, identity basis, diagonals >= 0
    bool evaluated = false;  // the last evaluation was made there, up to signs of columns
    double value = 0, decrement = 0, gradient_norm = 0, min_eigenvalue = 0;
    bool kkt = false;
    std::vector<Index> rank;  // of each term's covariance matrix
    Index evaluations = 0;
    Index descent = 0;  // of them, before the end was polished
    std::vector<LogEntry> log;
};

class Objective {
   public:
    virtual ~Objective() = default;
    virtual const Layout& layout() const = 0;
    virtual void evaluate(const Basis& basis, const double* theta, int order, Evaluation& out) = 0;
};

struct Step {
    Vector p, work;
    double decrement = 0, predicted = 0, smallest = 0, largest = 0;
    bool definite = false;
};

// Storage of a minimisation, to be used again by the next one.
struct NewtonWork {
    Vector x, trial;
    Evaluation now, next;
    Step step;
    Basis basis;
};

Minimum newton(Objective& objective, const Vector& start, const NewtonOptions& options,
               NewtonWork* work = nullptr);

// The lower factor of a term's covariance matrix as theta elements, on the term's basis.
void factor_term(const Term& term, const Vector& basis, const Vector& psi, double* theta);
// The covariance matrix lambda lambda' of a term.
Vector term_psi(const Term& term, const Vector& basis, const double* theta);

}  // namespace pp
