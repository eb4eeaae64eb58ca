#include "profile_chart.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

void span_rows(const Vector& rows, Index count, Index k, Vector& B) {
    B.assign(k * k, 0.0);
    Vector v(k);
    const auto reduce = [&](Index c) {
        for (int twice = 0; twice < 2; ++twice)
            for (Index b = 0; b < c; ++b)
                axpy(-dot(ptr(B, b * k), v.data(), k), ptr(B, b * k), v.data(), k);
        return std::sqrt(dot(v.data(), v.data(), k));
    };
    for (Index c = 0; c < k; ++c) {
        if (c < count) {
            std::copy_n(ptr(rows, c * k), k, v.begin());
        } else {
            Index best = 0;
            double most = -1;
            for (Index r = 0; r < k; ++r) {
                std::fill(v.begin(), v.end(), 0.0);
                v[r] = 1;
                const double left = reduce(c);
                if (left > most + 1e-8) {
                    most = left;
                    best = r;
                }
            }
            std::fill(v.begin(), v.end(), 0.0);
            v[best] = 1;
        }
        const double length = reduce(c);
        for (Index r = 0; r < k; ++r) B[r + c * k] = v[r] / length;
    }
}

Chart::Chart(Plan& plan, Held held, Index term, Index i, Index j, double log_sigma)
    : plan_(plan), held_(held), term_(term), log_sigma_(log_sigma) {
    const Layout& own = plan.layout();
    if (held == Held::none || held == Held::sigma) {
        layout_ = own;
        term_ = -1;
        return;
    }
    const Term& t = own.terms[term];
    k_ = t.k;
    offset_ = t.offset;
    group_ = t.group;
    leading_ = held == Held::correlation ? 2 : 1;
    const Vector& T = plan.random_transforms()[term];
    Vector rows(leading_ * k_);
    for (Index c = 0; c < k_; ++c) {
        rows[c] = T[i + c * k_];
        if (leading_ == 2) rows[k_ + c] = T[j + c * k_];
    }
    span_rows(rows, leading_, k_, B_);
    length_ = std::sqrt(dot(rows.data(), rows.data(), k_));
    if (leading_ == 2) {
        beta_ = dot(ptr(rows, k_), B_.data(), k_);
        gamma_ = dot(ptr(rows, k_), ptr(B_, k_), k_);
        length_j_ = std::hypot(beta_, gamma_);
        kappa_ = length_j_ / gamma_;
        ratio_ = beta_ / gamma_;
    }
    lay_out();
}

// The other terms; then, of the held one, its loose coordinates and what is left of it.
void Chart::lay_out() {
    const Layout& own = plan_.layout();
    layout_.group_k = own.group_k;
    const auto add = [&](Term t) {
        t.theta = layout_.size;
        layout_.size += t.size();
        layout_.terms.push_back(t);
    };
    for (std::size_t t = 0; t < own.terms.size(); ++t)
        if (static_cast<Index>(t) != term_) add(own.terms[t]);
    first_ = layout_.size;
    const Term& held = own.terms[term_];
    Term loose;
    loose.group = group_;
    loose.offset = offset_;
    loose.k = 1;
    loose.diagonal = loose.loose = true;
    // sd: log sigma and the rest of column 1; correlation: a, b, the rest of columns 1 and 2.
    Index free = 0;
    if (held_ == Held::sd) free = held.diagonal ? 1 : k_;
    if (held_ == Held::correlation) free = 2 + 2 * (k_ - 2);
    for (Index c = 0; c < free; ++c) add(loose);
    if (k_ == leading_) return;
    Term rest = held;
    rest.k = k_ - leading_;
    rest.offset = offset_ + leading_;
    trailing_ = static_cast<Index>(layout_.terms.size());
    add(rest);
}

// One direction a raw element of lambda: those of the other terms, then the fixed ones of the held
// term and its loose ones, then the trailing block.
void Chart::place_directions(const Basis& basis) {
    if (!directions_.empty() && basis == basis_) return;
    basis_ = basis;
    if (term_ < 0) {
        directions_ = make_directions(layout_, basis);
        return;
    }
    directions_.clear();
    const auto add = [&](const Term& t, Index column, const double* v, Index size) {
        Direction d;
        d.group = t.group;
        d.col = column;
        d.v.assign(layout_.group_k[t.group], 0.0);
        std::copy_n(v, size, d.v.begin() + t.offset);
        directions_.push_back(std::move(d));
    };
    for (std::size_t i = 0; i < layout_.terms.size(); ++i) {
        const Term& t = layout_.terms[i];
        if (t.loose || static_cast<Index>(i) == trailing_) continue;
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                add(t, t.offset + c, ptr(basis[i], r * t.k), t.k);
    }
    const Term& held = plan_.layout().terms[term_];
    const auto column = [&](Index r, Index c) { add(held, offset_ + c, ptr(B_, r * k_), k_); };
    if (held_ == Held::sd) {
        for (Index r = 0; r < (held.diagonal ? 1 : k_); ++r) column(r, 0);
    } else if (held_ == Held::correlation) {
        column(0, 0);
        column(1, 0);
        column(1, 1);
        for (Index c = 0; c < 2; ++c)
            for (Index r = 2; r < k_; ++r) column(r, c);
    }
    if (trailing_ >= 0) {
        const Term& t = layout_.terms[trailing_];
        const Vector& R = basis[trailing_];
        Vector v(k_);
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r) {
                std::fill(v.begin(), v.end(), 0.0);
                for (Index a = 0; a < t.k; ++a)
                    axpy(R[a + r * t.k], ptr(B_, (leading_ + a) * k_), v.data(), k_);
                add(held, offset_ + leading_ + c, v.data(), k_);
            }
    }
}

// The raw elements of lambda and sigma at z and u.
void Chart::place(const double* z) {
    const Index n = columns();
    if (held_ == Held::correlation) {
        a_ = z[first_];
        b_ = z[first_ + 1];
        const double x = a_ * a_, s = b_ * b_;
        raw_.resize(n + 1);
        std::copy_n(z, first_, raw_.begin());
        raw_[first_] = x;
        raw_[first_ + 1] = kappa_ * std::sin(u_) * s - ratio_ * x;
        raw_[first_ + 2] = kappa_ * std::cos(u_) * s;
        std::copy(z + first_ + 2, z + n, raw_.begin() + first_ + 3);
    } else {
        raw_.assign(z, z + n);
    }
    if (held_ == Held::sigma) scale_ = std::exp(2 * u_);
    if (held_ == Held::sd) {
        const double log_sigma = log_sigma_ + z[first_];
        scale_ = std::exp(2 * log_sigma);
        raw_[first_] = u_ * std::exp(-log_sigma) / length_;
    }
}

void Chart::evaluate(const Basis& basis, const double* z, int order, Evaluation& out) {
    ++evaluations_;
    last_order_ = order;
    place_directions(basis);
    place(z);
    lambdas_.resize(layout_.group_k.size());
    for (std::size_t g = 0; g < lambdas_.size(); ++g)
        lambdas_[g].assign(layout_.group_k[g] * layout_.group_k[g], 0.0);
    for (std::size_t i = 0; i < directions_.size(); ++i) {
        const Direction& d = directions_[i];
        const Index K = layout_.group_k[d.group];
        axpy(raw_[i], d.v.data(), ptr(lambdas_[d.group], d.col * K), K);
    }
    out.value = INFINITY;
    out.status = plan_.sums_at(lambdas_, directions_, order);
    if (out.status != Status::ok) return;
    Criterion criterion = plan_.criterion();
    criterion.fixed_scale = fixed_scale() ? scale_ : 0;
    const bool plain = held_ == Held::none || held_ == Held::zero;
    Evaluation& full = plain ? out : full_;
    assemble(criterion, directions_, plan_.sums(), order, full);
    scale_ = full.scale;
    if (!plain) {
        out.status = full.status;
        out.value = full.value;
        out.rss = full.rss;
        out.scale = full.scale;
        if (order >= kGradient) chain(out, order);
    }
    if (order >= kGradient && term_ >= 0) turn_scores(out.Q[group_]);
}

// From the raw elements and log sigma to the coordinates and u.
void Chart::chain(Evaluation& out, int order) {
    const Index n = columns(), m = static_cast<Index>(raw_.size()), rows = m + 1, cols = n + 1;
    J_.assign(rows * cols, 0.0);
    const auto J = [&](Index r, Index c) -> double& { return J_[r + c * rows]; };
    const Vector& g = full_.gradient;
    Vector& gradient = work_;
    gradient = g;
    const double pull = 2 * full_.rss / full_.scale;  // r^2 / sigma^2, twice
    gradient.push_back(fixed_scale() ? 2 * static_cast<double>(plan_.criterion().n) - pull : 0);
    for (Index c = 0; c < (held_ == Held::sigma ? n : first_); ++c) J(c, c) = 1;
    // Second derivatives of the raw elements, times the gradient: a few entries.
    struct Bend {
        Index a, b;
        double value;
    };
    Bend bends[4];
    int count = 0;
    const Index f = first_;
    if (held_ == Held::sigma) {
        J(m, n) = 1;
    } else if (held_ == Held::sd) {
        const double x = raw_[f], unit = 1 / (std::sqrt(scale_) * length_);
        J(f, f) = -x;
        J(m, f) = 1;
        J(f, n) = unit;
        for (Index c = f + 1; c < n; ++c) J(c, c) = 1;
        bends[count++] = {f, f, g[f] * x};
        bends[count++] = {f, n, -unit * g[f]};
    } else {
        const double sine = kappa_ * std::sin(u_), cosine = kappa_ * std::cos(u_), s = b_ * b_;
        const double along = sine * g[f + 1] + cosine * g[f + 2],
                     across = cosine * g[f + 1] - sine * g[f + 2];
        J(f, f) = 2 * a_;
        J(f + 1, f) = -2 * ratio_ * a_;
        J(f + 1, f + 1) = 2 * sine * b_;
        J(f + 2, f + 1) = 2 * cosine * b_;
        J(f + 1, n) = cosine * s;
        J(f + 2, n) = -sine * s;
        for (Index c = f + 2; c < n; ++c) J(c + 1, c) = 1;
        bends[count++] = {f, f, 2 * (g[f] - ratio_ * g[f + 1])};
        bends[count++] = {f + 1, f + 1, 2 * along};
        bends[count++] = {f + 1, n, 2 * b_ * across};
        bends[count++] = {n, n, -s * along};
    }
    full_gradient_.resize(cols);
    for (Index c = 0; c < cols; ++c)
        full_gradient_[c] = dot(ptr(J_, c * rows), gradient.data(), rows);
    out.gradient.assign(full_gradient_.begin(), full_gradient_.begin() + n);
    out.Q = full_.Q;
    out.Q_scale = full_.Q_scale;
    if (order < kAverage) return;
    Vector H(rows * rows, 0.0), half(rows * cols);
    for (Index c = 0; c < m; ++c) {
        std::copy_n(ptr(full_.hessian, c * m), m, ptr(H, c * rows));
        // full_.work is y'P V_k P y, the derivative of -r^2.
        if (fixed_scale()) H[m + c * rows] = H[c + m * rows] = 2 * full_.work[c] / full_.scale;
    }
    if (fixed_scale()) H[m + m * rows] = 2 * pull;
    for (Index c = 0; c < cols; ++c)
        for (Index r = 0; r < rows; ++r)
            half[r + c * rows] = dot(ptr(H, r * rows), ptr(J_, c * rows), rows);
    full_hessian_.resize(cols * cols);
    for (Index c = 0; c < cols; ++c)
        for (Index r = 0; r < cols; ++r)
            full_hessian_[r + c * cols] = dot(ptr(J_, r * rows), ptr(half, c * rows), rows);
    for (int i = 0; i < count; ++i) {
        full_hessian_[bends[i].a + bends[i].b * cols] += bends[i].value;
        if (bends[i].a != bends[i].b)
            full_hessian_[bends[i].b + bends[i].a * cols] += bends[i].value;
    }
    out.hessian.resize(n * n);
    for (Index c = 0; c < n; ++c)
        std::copy_n(ptr(full_hessian_, c * cols), n, ptr(out.hessian, c * n));
}

// Q of the held term's columns, in its basis: the minimiser looks at its trailing block.
void Chart::turn_scores(Vector& Q) {
    const Index K = layout_.group_k[group_];
    Vector turned(k_ * k_), half(k_ * k_, 0.0);
    double* own = ptr(Q, offset_ * (K + 1));
    for (Index c = 0; c < k_; ++c)
        for (Index l = 0; l < k_; ++l) axpy(B_[l + c * k_], own + l * K, ptr(half, c * k_), k_);
    for (Index c = 0; c < k_; ++c)
        for (Index r = 0; r < k_; ++r) own[r + c * K] = dot(ptr(B_, r * k_), ptr(half, c * k_), k_);
    scores_.assign(own, own + k_);
}

double Chart::curvature(Vector& tangent) const {
    const Index n = columns(), cols = n + 1;
    const Vector& H = full_hessian_;
    const double own = H[n + n * cols];
    Vector L(n * n);
    tangent.assign(n, 0.0);
    for (Index c = 0; c < n; ++c) {
        std::copy_n(ptr(H, c * cols), n, ptr(L, c * n));
        tangent[c] = -H[c + n * cols];
    }
    if (!cholesky(L.data(), n, n)) {
        tangent.clear();
        return own;
    }
    solve_lower(L.data(), n, n, tangent.data());
    const double left = own - dot(tangent.data(), tangent.data(), n);
    solve_lower_transposed(L.data(), n, n, tangent.data());
    return left > 0 ? left : own;
}

Vector Chart::coordinates(const double* theta, double& u) const {
    const Layout& own = plan_.layout();
    Vector z(layout_.size, 0.0);
    if (term_ < 0) {
        std::copy_n(theta, layout_.size, z.begin());
        u = log_sigma_;
        return z;
    }
    std::size_t at = 0;
    for (std::size_t i = 0; i < own.terms.size(); ++i) {
        if (static_cast<Index>(i) == term_) continue;
        const Term& t = layout_.terms[at++];
        std::copy_n(theta + own.terms[i].theta, t.size(), ptr(z, t.theta));
    }
    const Term& held = own.terms[term_];
    Vector identity(k_ * k_, 0.0);
    for (Index c = 0; c < k_; ++c) identity[c * (k_ + 1)] = 1;
    // B'lambda, its square, and the square's lower factor
    const Vector psi = term_psi(held, identity, theta + held.theta);
    Vector half(k_ * k_, 0.0), turned(k_ * k_), L(k_ * k_);
    for (Index c = 0; c < k_; ++c)
        for (Index l = 0; l < k_; ++l)
            axpy(B_[l + c * k_], ptr(psi, l * k_), ptr(half, c * k_), k_);
    for (Index c = 0; c < k_; ++c)
        for (Index r = 0; r < k_; ++r)
            turned[r + c * k_] = dot(ptr(B_, r * k_), ptr(half, c * k_), k_);
    cholesky_semidefinite(turned.data(), k_, 1e-14, L.data());
    Index next = first_;
    if (held_ == Held::sd) {
        u = std::exp(log_sigma_) * length_ * L[0];
        z[next++] = 0;
        for (Index r = 1; r < k_ && !held.diagonal; ++r) z[next++] = L[r];
    } else if (held_ == Held::correlation) {
        const double x = beta_ * L[0] + gamma_ * L[1], y = gamma_ * L[1 + k_];
        u = std::atan2(x, y);
        z[next++] = std::sqrt(L[0]);
        z[next++] = std::sqrt(std::hypot(x, y) / length_j_);
        for (Index c = 0; c < 2; ++c)
            for (Index r = 2; r < k_; ++r) z[next++] = L[r + c * k_];
    } else {
        u = 0;
        // What is left of the others when this one has gone: all of their covariance.
        const Index rest = k_ - 1;
        Vector square(rest * rest), factor(rest * rest);
        for (Index c = 0; c < rest; ++c)
            std::copy_n(ptr(turned, 1 + (c + 1) * k_), rest, ptr(square, c * rest));
        if (rest > 0) cholesky_semidefinite(square.data(), rest, 1e-14, factor.data());
        for (Index c = 0; c < rest; ++c)
            for (Index r = 0; r < rest; ++r) L[1 + r + (c + 1) * k_] = factor[r + c * rest];
    }
    if (trailing_ >= 0) {
        const Term& t = layout_.terms[trailing_];
        for (Index c = 0; c < t.k; ++c)
            for (Index r = c; r < (t.diagonal ? c + 1 : t.k); ++r)
                z[element(t, r, c)] = L[leading_ + r + (leading_ + c) * k_];
    }
    return z;
}

Vector Chart::psi(Index term) const {
    const Term& t = plan_.layout().terms[term];
    const Index K = plan_.layout().group_k[t.group];
    Vector out(t.k * t.k, 0.0);
    for (Index c = 0; c < t.k; ++c) {
        const double* column = ptr(lambdas_[t.group], t.offset + (t.offset + c) * K);
        for (Index b = 0; b < t.k; ++b) axpy(column[b], column, ptr(out, b * t.k), t.k);
    }
    return out;
}

bool Chart::at_end(const Vector& z, double size) const {
    return held_ == Held::correlation &&
           std::min(z[first_] * z[first_], z[first_ + 1] * z[first_ + 1]) < size;
}

// Psi moves away from zero by c (b_1 w' + w b_1') to first order, with w in the range of what is
// left of the term: the steepest such w.
double Chart::slope_at_zero() const {
    if (trailing_ < 0 || plan_.layout().terms[term_].diagonal) return 0;
    Vector q(k_, 0.0);
    for (Index r = 1; r < k_; ++r) axpy(scores_[r], ptr(B_, r * k_), q.data(), k_);
    const Vector left = psi(term_);
    double square = 0;
    for (Index c = 0; c < k_; ++c) square += q[c] * dot(ptr(left, c * k_), q.data(), k_);
    return -2 * std::sqrt(std::max(0.0, square)) / (std::sqrt(scale_) * length_);
}

}  // namespace pp
