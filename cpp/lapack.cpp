#include "lapack.hpp"

#include <algorithm>

namespace pp {

Lapack& lapack() {
    static Lapack table;
    return table;
}

Index dense_cholesky(double* a, Index n, Index ld) {
    if (n <= kSmall || !lapack().potrf) return cholesky_until(a, n, ld);
    char lower = 'L';
    int size = static_cast<int>(n), leading = static_cast<int>(ld), info = 0;
    lapack().potrf(&lower, &size, a, &leading, &info);
    return info == 0 ? n : info - 1;
}

void dense_inverse(const double* l, Index n, Index ld, double* out) {
    if (n == 0) return;
    if (n <= kSmall || !lapack().potri) {
        Vector inverse(n * n);
        invert_lower(l, n, ld, inverse.data());
        for (Index c = 0; c < n; ++c)
            for (Index r = c; r < n; ++r)
                out[r + c * n] = dot(ptr(inverse, r + c * n), ptr(inverse, r + r * n), n - r);
        return;
    }
    for (Index c = 0; c < n; ++c) std::copy(l + c + c * ld, l + n + c * ld, out + c + c * n);
    char lower = 'L';
    int size = static_cast<int>(n), info = 0;
    lapack().potri(&lower, &size, out, &size, &info);
}

void dense_rank_update(double* c, const double* a, Index n, Index k) {
    if (k == 0) return;
    if (n <= kSmall || !lapack().syrk) {
        for (Index l = 0; l < k; ++l)
            for (Index j = 0; j < n; ++j) axpy(-a[j + l * n], a + j + l * n, c + j + j * n, n - j);
        return;
    }
    char lower = 'L', no = 'N';
    int size = static_cast<int>(n), depth = static_cast<int>(k);
    double minus = -1, one = 1;
    lapack().syrk(&lower, &no, &size, &depth, &minus, const_cast<double*>(a), &size, &one, c,
                  &size);
}

namespace {

void solve(char transpose, const double* l, Index n, Index ld, double* b, Index cols, Index ldb) {
    if (n == 0 || cols == 0) return;
    if (n <= kSmall || !lapack().trsm) {
        for (Index c = 0; c < cols; ++c)
            (transpose == 'T' ? solve_lower_transposed : solve_lower)(l, n, ld, b + c * ldb);
        return;
    }
    char left = 'L', lower = 'L', no = 'N';
    int size = static_cast<int>(n), width = static_cast<int>(cols), leading = static_cast<int>(ld),
        leading_b = static_cast<int>(ldb);
    double one = 1;
    lapack().trsm(&left, &lower, &transpose, &no, &size, &width, &one, const_cast<double*>(l),
                  &leading, b, &leading_b);
}

}  // namespace

void dense_solve_lower(const double* l, Index n, Index ld, double* b, Index cols, Index ldb) {
    solve('N', l, n, ld, b, cols, ldb);
}

void dense_solve_lower_transposed(const double* l, Index n, Index ld, double* b, Index cols,
                                  Index ldb) {
    solve('T', l, n, ld, b, cols, ldb);
}

namespace {

bool gemm(char ta, char tb, const double* a, int lda, const double* b, int ldb, double* c, Index m,
          Index n, Index k) {
    if (!lapack().gemm || m * n * k < 32768) return false;
    int rows = static_cast<int>(m), cols = static_cast<int>(n), depth = static_cast<int>(k);
    double one = 1, zero = 0;
    lapack().gemm(&ta, &tb, &rows, &cols, &depth, &one, const_cast<double*>(a), &lda,
                  const_cast<double*>(b), &ldb, &zero, c, &rows);
    return true;
}

}  // namespace

void dense_multiply_nt(const double* a, const double* b, double* c, Index m, Index n, Index k) {
    if (k == 0 || m == 0 || n == 0) return std::fill_n(c, m * n, 0.0), void();
    if (gemm('N', 'T', a, static_cast<int>(m), b, static_cast<int>(n), c, m, n, k)) return;
    std::fill_n(c, m * n, 0.0);
    for (Index l = 0; l < k; ++l)
        for (Index j = 0; j < n; ++j) axpy(b[j + l * n], a + l * m, c + j * m, m);
}

void dense_multiply_tn(const double* a, const double* b, double* c, Index m, Index n, Index k) {
    if (k == 0 || m == 0 || n == 0) return std::fill_n(c, m * n, 0.0), void();
    if (gemm('T', 'N', a, static_cast<int>(k), b, static_cast<int>(k), c, m, n, k)) return;
    for (Index j = 0; j < n; ++j)
        for (Index i = 0; i < m; ++i) c[i + j * m] = dot(a + i * k, b + j * k, k);
}

void mirror_lower(double* a, Index n) {
    constexpr Index kTile = 32;
    for (Index c0 = 0; c0 < n; c0 += kTile)
        for (Index r0 = c0; r0 < n; r0 += kTile)
            for (Index c = c0; c < std::min(n, c0 + kTile); ++c)
                for (Index r = std::max(r0, c + 1); r < std::min(n, r0 + kTile); ++r)
                    a[c + r * n] = a[r + c * n];
}

}  // namespace pp
