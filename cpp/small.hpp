// Dense kernels for small matrices, column-major, our own so that no BLAS thread is ever woken for
// them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pp {

using Index = std::int64_t;
using Vector = std::vector<double>;

// The address of an element, or one past the end: unlike &v[i], right for an empty vector too.
template <class T>
inline T* ptr(std::vector<T>& v, Index i) {
    return v.data() + i;
}
template <class T>
inline const T* ptr(const std::vector<T>& v, Index i) {
    return v.data() + i;
}
template <class T>
inline T* ptr(T* p, Index i) {
    return p + i;
}

// Eight partial sums: vectorises without reassociating the compiler's way, and rounds less than
// one.
inline double dot(const double* a, const double* b, Index n) {
    double s[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    Index i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; ++l) s[l] += a[i + l] * b[i + l];
    double tail = 0;
    for (; i < n; ++i) tail += a[i] * b[i];
    return (((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))) + tail;
}

inline void axpy(double a, const double* x, double* y, Index n) {
    for (Index i = 0; i < n; ++i) y[i] += a * x[i];
}

// The same for columns of rows: compiled for wider vectors too where the processor has them, with
// the same sums in the same order.
double long_dot(const double* a, const double* b, Index n);
void long_axpy(double a, const double* x, double* y, Index n);

// Log of a product of numbers >= 1 (Cholesky pivots of I + something), with one log a few hundred.
class LogProduct {
   public:
    void multiply(double d) {
        product_ *= d;
        if (product_ > 1e150) flush();
    }
    double value() {
        flush();
        return sum_;
    }

   private:
    void flush() {
        sum_ += std::log(product_);
        product_ = 1;
    }
    double sum_ = 0, product_ = 1;
};

// Lower Cholesky factor of the lower triangle of a (n x n, leading dimension ld), in place. Returns
// the first column whose pivot is not positive (or not a number); n when there is none.
inline Index cholesky_until(double* a, Index n, Index ld) {
    for (Index c = 0; c < n; ++c) {
        double* col = a + c * ld;
        for (Index k = 0; k < c; ++k) {
            const double* prev = a + k * ld;
            const double f = prev[c];
            if (f == 0) continue;
            for (Index r = c; r < n; ++r) col[r] -= f * prev[r];
        }
        if (!(col[c] > 0)) return c;
        const double d = std::sqrt(col[c]);
        col[c] = d;
        const double inv = 1 / d;
        for (Index r = c + 1; r < n; ++r) col[r] *= inv;
    }
    return n;
}

inline bool cholesky(double* a, Index n, Index ld) {
    return cholesky_until(a, n, ld) == n;
}

// x := L^-1 x for lower L.
inline void solve_lower(const double* l, Index n, Index ld, double* x) {
    for (Index c = 0; c < n; ++c) {
        const double* col = l + c * ld;
        const double v = x[c] /= col[c];
        if (v == 0) continue;
        for (Index r = c + 1; r < n; ++r) x[r] -= v * col[r];
    }
}

// x := L^-T x for lower L.
inline void solve_lower_transposed(const double* l, Index n, Index ld, double* x) {
    for (Index c = n; c-- > 0;) {
        const double* col = l + c * ld;
        x[c] = (x[c] - dot(col + c + 1, x + c + 1, n - c - 1)) / col[c];
    }
}

// Inverse of a lower-triangular matrix, written to out (n x n, zero above the diagonal).
inline void invert_lower(const double* l, Index n, Index ld, double* out) {
    for (Index c = 0; c < n; ++c) {
        double* x = out + c * n;
        for (Index r = 0; r < n; ++r) x[r] = r == c ? 1 : 0;
        for (Index r = c; r < n; ++r) {
            double v = x[r];
            for (Index k = c; k < r; ++k) v -= l[r + k * ld] * x[k];
            x[r] = v / l[r + r * ld];
        }
    }
}

// Eigenvalues (ascending, in w) and eigenvectors (columns of a) of the symmetric a (n x n).
bool symmetric_eigen(double* a, Index n, double* w);

// Inverse of a general n x n matrix by Gauss-Jordan with row pivoting; false when singular.
bool invert(const double* a, Index n, double* out);

// Lower factor of a positive semidefinite n x n matrix: l l' = a, pivots below `floor` times the
// largest diagonal element become columns of exact zeros.
void cholesky_semidefinite(const double* a, Index n, double floor, double* l);

// l lower triangular with l l' = a a', diagonal not negative, without forming a a' (LQ by
// rotations).
void lower_factor(const double* a, Index n, double* l);

}  // namespace pp
