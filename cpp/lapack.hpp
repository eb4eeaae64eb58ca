// LAPACK and BLAS through the function pointers that SciPy exports: nothing to link, nothing to
// ship.
#pragma once

#include "small.hpp"

namespace pp {

struct Lapack {
    using Potrf = void (*)(char*, int*, double*, int*, int*);
    using Potri = void (*)(char*, int*, double*, int*, int*);
    using Syrk = void (*)(char*, char*, int*, int*, double*, double*, int*, double*, double*, int*);
    using Trsm = void (*)(char*, char*, char*, char*, int*, int*, double*, double*, int*, double*,
                          int*);
    using Gemm = void (*)(char*, char*, int*, int*, int*, double*, double*, int*, double*, int*,
                          double*, double*, int*);
    Potrf potrf = nullptr;
    Potri potri = nullptr;
    Syrk syrk = nullptr;
    Trsm trsm = nullptr;
    Gemm gemm = nullptr;
    bool ready() const { return potrf && potri && syrk && trsm && gemm; }
};

// The one table, filled by the module when SciPy has been loaded; our own kernels serve until then.
Lapack& lapack();

// Below this size our own kernels are used, whatever has been loaded.
constexpr Index kSmall = 48;

// a := lower Cholesky factor of the lower triangle; the first column that fails, n when none does.
Index dense_cholesky(double* a, Index n, Index ld);
// Lower triangle of (l l')^-1 into out (n x n), from the leading n x n block of l.
void dense_inverse(const double* l, Index n, Index ld, double* out);
// c := c - a a' (lower triangle), a is n x k.
void dense_rank_update(double* c, const double* a, Index n, Index k);
// b := l^-1 b, b is n x cols with leading dimension ldb.
void dense_solve_lower(const double* l, Index n, Index ld, double* b, Index cols, Index ldb);
// b := l^-T b.
void dense_solve_lower_transposed(const double* l, Index n, Index ld, double* b, Index cols,
                                  Index ldb);
// c := a b' (m x n), a is m x k, b is n x k; and c := a'b, a is k x m, b is k x n.
void dense_multiply_nt(const double* a, const double* b, double* c, Index m, Index n, Index k);
void dense_multiply_tn(const double* a, const double* b, double* c, Index m, Index n, Index k);
void mirror_lower(double* a, Index n);

}  // namespace pp
