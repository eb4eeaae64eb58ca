#include "small.hpp"

#include <algorithm>
#include <limits>

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define PP_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PP_WIDE
#endif

namespace pp {

PP_WIDE double long_dot(const double* a, const double* b, Index n) {
    return dot(a, b, n);
}
PP_WIDE void long_axpy(double a, const double* x, double* y, Index n) {
    axpy(a, x, y, n);
}

namespace {

// Householder reduction to tridiagonal form; a becomes the orthogonal matrix, d the diagonal,
// e the subdiagonal (Golub & Van Loan, section 8.3).
void tridiagonalise(double* a, Index n, double* d, double* e) {
    std::vector<double> q(n * n, 0.0), v(n), p(n);
    for (Index i = 0; i < n; ++i) q[i + i * n] = 1;
    for (Index k = 0; k + 2 < n; ++k) {
        double* col = a + k * n;
        double norm2 = 0;
        for (Index r = k + 1; r < n; ++r) norm2 += col[r] * col[r];
        const double norm = std::sqrt(norm2);
        double tail = 0;
        for (Index r = k + 2; r < n; ++r) tail += std::fabs(col[r]);
        if (tail == 0) continue;
        const double alpha = col[k + 1] > 0 ? -norm : norm;
        std::fill(v.begin(), v.end(), 0.0);
        for (Index r = k + 1; r < n; ++r) v[r] = col[r];
        v[k + 1] -= alpha;
        const double vv = dot(ptr(v, k + 1), ptr(v, k + 1), n - k - 1);
        const double beta = 2 / vv;
        for (Index r = k; r < n; ++r) p[r] = 0;
        for (Index c = k; c < n; ++c) {  // p = beta A v on the trailing block
            const double* ac = a + c * n;
            if (v[c] != 0) axpy(beta * v[c], ac + k, ptr(p, k), n - k);
        }
        const double half = 0.5 * beta * dot(ptr(p, k), ptr(v, k), n - k);
        for (Index r = k; r < n; ++r) p[r] -= half * v[r];
        for (Index c = k; c < n; ++c) {
            double* ac = a + c * n;
            for (Index r = k; r < n; ++r) ac[r] -= v[r] * p[c] + p[r] * v[c];
        }
        std::vector<double> t(n, 0.0);  // Q := Q (I - beta v v')
        for (Index c = k + 1; c < n; ++c) axpy(beta * v[c], ptr(q, c * n), t.data(), n);
        for (Index c = k + 1; c < n; ++c) axpy(-v[c], t.data(), ptr(q, c * n), n);
    }
    for (Index i = 0; i < n; ++i) d[i] = a[i + i * n];
    for (Index i = 0; i + 1 < n; ++i) e[i] = a[i + 1 + i * n];
    std::copy(q.begin(), q.end(), a);
}

// Implicit QL with Wilkinson shifts on (d, e); rotates the columns of z.
bool tridiagonal_ql(double* d, double* e, double* z, Index n) {
    e[n - 1] = 0;
    for (Index l = 0; l < n; ++l) {
        for (int iteration = 0;; ++iteration) {
            Index m = l;
            for (; m + 1 < n; ++m) {
                const double size = std::fabs(d[m]) + std::fabs(d[m + 1]);
                if (std::fabs(e[m]) <= std::numeric_limits<double>::epsilon() * size) break;
            }
            if (m == l) break;
            if (iteration == 60) return false;
            double g = (d[l + 1] - d[l]) / (2 * e[l]);
            double r = std::hypot(g, 1.0);
            g = d[m] - d[l] + e[l] / (g + std::copysign(r, g));
            double s = 1, c = 1, p = 0;
            Index i = m;
            while (i-- > l) {
                double f = s * e[i];
                const double b = c * e[i];
                r = std::hypot(f, g);
                e[i + 1] = r;
                if (r == 0) {
                    d[i + 1] -= p;
                    e[m] = 0;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                double *z0 = z + i * n, *z1 = z + (i + 1) * n;
                for (Index k = 0; k < n; ++k) {
                    f = z1[k];
                    z1[k] = s * z0[k] + c * f;
                    z0[k] = c * z0[k] - s * f;
                }
            }
            if (r == 0 && i + 1 > l) continue;
            d[l] -= p;
            e[l] = g;
            e[m] = 0;
        }
    }
    return true;
}

}  // namespace

bool symmetric_eigen(double* a, Index n, double* w) {
    if (n == 0) return true;
    for (Index i = 0; i < n * n; ++i)
        if (!std::isfinite(a[i])) return false;
    if (n == 1) {
        w[0] = a[0];
        a[0] = 1;
        return true;
    }
    std::vector<double> e(n, 0.0);
    tridiagonalise(a, n, w, e.data());
    if (!tridiagonal_ql(w, e.data(), a, n)) return false;
    for (Index i = 0; i < n; ++i) {  // selection sort: n is small
        const Index smallest = std::min_element(w + i, w + n) - w;
        if (smallest == i) continue;
        std::swap(w[i], w[smallest]);
        std::swap_ranges(a + i * n, a + (i + 1) * n, a + smallest * n);
    }
    return true;
}

bool invert(const double* a, Index n, double* out) {
    if (n == 2) {
        const double det = a[0] * a[3] - a[1] * a[2];
        if (!(std::fabs(det) > 0)) return false;
        out[0] = a[3] / det;
        out[1] = -a[1] / det;
        out[2] = -a[2] / det;
        out[3] = a[0] / det;
        return true;
    }
    std::vector<double> w(a, a + n * n);
    for (Index i = 0; i < n * n; ++i) out[i] = i % (n + 1) == 0 ? 1 : 0;
    for (Index c = 0; c < n; ++c) {
        Index pivot = c;
        for (Index r = c + 1; r < n; ++r)
            if (std::fabs(w[r + c * n]) > std::fabs(w[pivot + c * n])) pivot = r;
        if (!(std::fabs(w[pivot + c * n]) > 0)) return false;
        if (pivot != c)
            for (Index k = 0; k < n; ++k) {
                std::swap(w[c + k * n], w[pivot + k * n]);
                std::swap(out[c + k * n], out[pivot + k * n]);
            }
        const double inv = 1 / w[c + c * n];
        for (Index k = 0; k < n; ++k) {
            w[c + k * n] *= inv;
            out[c + k * n] *= inv;
        }
        for (Index r = 0; r < n; ++r) {
            const double f = w[r + c * n];
            if (r == c || f == 0) continue;
            for (Index k = 0; k < n; ++k) {
                w[r + k * n] -= f * w[c + k * n];
                out[r + k * n] -= f * out[c + k * n];
            }
        }
    }
    return true;
}

void cholesky_semidefinite(const double* a, Index n, double floor, double* l) {
    std::copy(a, a + n * n, l);
    for (Index c = 0; c < n; ++c) {
        double* col = l + c * n;
        for (Index r = 0; r < c; ++r) col[r] = 0;
        for (Index k = 0; k < c; ++k) {
            const double f = l[c + k * n];
            for (Index r = c; r < n; ++r) col[r] -= f * l[r + k * n];
        }
        if (!(col[c] > floor * a[c + c * n]) || col[c] <= 0) {
            for (Index r = c; r < n; ++r) col[r] = 0;
            continue;
        }
        const double d = std::sqrt(col[c]);
        col[c] = d;
        for (Index r = c + 1; r < n; ++r) col[r] /= d;
    }
}

void lower_factor(const double* a, Index n, double* l) {
    std::copy(a, a + n * n, l);
    for (Index r = 0; r < n; ++r) {
        for (Index c = r + 1; c < n; ++c) {  // rotate columns r and c so that l[r, c] = 0
            const double x = l[r + r * n], y = l[r + c * n];
            if (y == 0) continue;
            const double h = std::hypot(x, y), cs = x / h, sn = y / h;
            for (Index k = r; k < n; ++k) {
                const double u = l[k + r * n], v = l[k + c * n];
                l[k + r * n] = cs * u + sn * v;
                l[k + c * n] = cs * v - sn * u;
            }
            l[r + c * n] = 0;
        }
        if (l[r + r * n] < 0)
            for (Index k = r; k < n; ++k) l[k + r * n] = -l[k + r * n];
    }
}

}  // namespace pp
