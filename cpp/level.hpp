// Kernels on one level's k x k blocks; K is k at compile time, or 0.
#pragma once

#include "small.hpp"

namespace pp {

// c (ra x cb) = a' (k x ra)' b (k x cb)
template <int K>
inline void multiply_tn(const double* a, const double* b, double* c, Index k_, Index ra, Index cb) {
    const Index k = K ? K : k_;
    for (Index j = 0; j < cb; ++j)
        for (Index i = 0; i < ra; ++i) {
            double v = 0;
            for (Index l = 0; l < k; ++l) v += a[l + i * k] * b[l + j * k];
            c[i + j * ra] = v;
        }
}

// c (k x cb) = a (k x k) b (k x cb)
template <int K>
inline void multiply(const double* a, const double* b, double* c, Index k_, Index cb) {
    const Index k = K ? K : k_;
    for (Index j = 0; j < cb; ++j) {
        double* out = c + j * k;
        for (Index i = 0; i < k; ++i) out[i] = 0;
        for (Index l = 0; l < k; ++l) {
            const double v = b[l + j * k];
            for (Index i = 0; i < k; ++i) out[i] += a[i + l * k] * v;
        }
    }
}

// c (k x k) = a b'
template <int K>
inline void multiply_nt(const double* a, const double* b, double* c, Index k_) {
    const Index k = K ? K : k_;
    for (Index j = 0; j < k; ++j)
        for (Index i = 0; i < k; ++i) {
            double v = 0;
            for (Index l = 0; l < k; ++l) v += a[i + l * k] * b[j + l * k];
            c[i + j * k] = v;
        }
}

// Of M = lambda'G lambda + I = L L': L^-1 and P = L^-1 lambda'. False when M is not finite.
template <int K>
inline bool factor_level(const double* lambda, const double* G, double* Linv, double* P, Index k_,
                         LogProduct& logdet, double* work) {
    const Index k = K ? K : k_;
    double *t = work, *M = work + k * k;
    multiply<K>(G, lambda, t, k, k);
    multiply_tn<K>(lambda, t, M, k, k, k);
    for (Index i = 0; i < k; ++i) M[i + i * k] += 1;
    for (Index c = 0; c < k; ++c) {
        for (Index r = c; r < k; ++r) {
            double v = M[r + c * k];
            for (Index l = 0; l < c; ++l) v -= M[r + l * k] * M[c + l * k];
            M[r + c * k] = v;
        }
        if (!(M[c + c * k] > 0)) return false;
        logdet.multiply(M[c + c * k]);
        const double d = 1 / std::sqrt(M[c + c * k]);
        for (Index r = c; r < k; ++r) M[r + c * k] *= d;
    }
    for (Index c = 0; c < k; ++c) {
        double* x = Linv + c * k;
        for (Index r = 0; r < c; ++r) x[r] = 0;
        x[c] = 1 / M[c + c * k];
        for (Index r = c + 1; r < k; ++r) {
            double v = 0;
            for (Index l = c; l < r; ++l) v -= M[r + l * k] * x[l];
            x[r] = v / M[r + r * k];
        }
    }
    multiply_nt<K>(Linv, lambda, P, k);
    return true;
}

// Pi' = I - G K = (I + G Psi)^-1, k x k, without cancellation where lambda can be inverted:
// Pi' = lambda^-T M^-1 lambda'. `inverse` is lambda^-1, or null when lambda is near-singular.
template <int K>
inline void complement_level(const double* G, const double* Linv, const double* P,
                             const double* inverse, double* out, Index k_, double* work) {
    const Index k = K ? K : k_;
    double* t = work;
    if (inverse) {
        multiply_tn<K>(Linv, P, t, k, k, k);  // M^-1 lambda'
        multiply_tn<K>(inverse, t, out, k, k, k);
        return;
    }
    multiply_tn<K>(P, P, t, k, k, k);  // K
    multiply<K>(G, t, out, k, k);
    for (Index i = 0; i < k * k; ++i) out[i] = -out[i];
    for (Index i = 0; i < k; ++i) out[i + i * k] += 1;
}

// lambda^-1 where its condition allows (see complement_level); empty otherwise.
inline Vector safe_inverse(const double* lambda, Index k) {
    if (k == 1) return std::fabs(lambda[0]) > 0 ? Vector{1 / lambda[0]} : Vector{};
    Vector out(k * k);
    if (!invert(lambda, k, out.data())) return {};
    double a = 0, b = 0;
    for (Index i = 0; i < k * k; ++i) {
        a += lambda[i] * lambda[i];
        b += out[i] * out[i];
        if (!std::isfinite(out[i])) return {};
    }
    return std::sqrt(a * b) < 1e4 ? out : Vector{};
}

}  // namespace pp
