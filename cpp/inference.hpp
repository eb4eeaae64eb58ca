// What degrees of freedom and small-sample covariances need of a fit (docs/math.md, M16, M17).
#pragma once

#include "small.hpp"

namespace pp {

// Derivatives by the free elements of the relative covariances; a term of deficient rank has k x
// rank of them, the zero columns of its factor left out.
struct Derivatives {
    bool ok = false;
    double scale = 0;         // sigma^2
    Vector covariance;        // of (X'V^-1 X)^-1 in the transformed columns, p x p an element
    Vector slope;             // of log r^2, times nu
    Vector hessian;           // of the profiled criterion
    std::vector<Index> term;  // an element
    std::vector<Index> rank;  // a term
};

// In the transformed columns: X~ = X A up to a shift, so that beta = A beta~.
struct KenwardRogerParts {
    bool ok = false;
    double scale = 0;
    Vector basis, information_inverse;  // A; (X'V^-1 X)^-1, p x p
    Vector psi;                         // elements of the relative covariances
    Vector B;                           // an element: X'V^-1 Z S Z'V^-1 X
    Vector Q;                           // X'V^-1 Z S_x Z'V^-1 Z S_y Z'V^-1 X, blocks
    Vector t1, t2;                      // tr(V^-1 Z S Z'); tr(V^-1 Z S_x Z' V^-1 Z S_y Z')
    std::vector<Index> term;
};

}  // namespace pp
