// A linear mixed model ready to be evaluated, started, minimised and solved.
#pragma once

#include <algorithm>
#include <array>
#include <memory>

#include "blocks.hpp"
#include "inference.hpp"
#include "newton.hpp"
#include "patterns.hpp"

namespace pp {

struct Solution {
    bool ok = false;
    double value = 0, logdet_L = 0, logdet_RX = 0, rss = 0, ussq = 0, scale = 0;
    Vector beta, information_inverse;  // original coordinates; (X'V^-1 X)^-1, p x p
    std::vector<Vector> b, u;          // a group: levels x k, level-major, original coordinates
};

// The moment equations of a structure (start.cpp): the factor of X'WX, and the inverse of the
// matrix of expectations.
struct MomentEquations {
    bool usable = false;
    Vector L, inverse;
};

class Plan {
   public:
    // intercepts[g][c]: the column of group g that is the intercept of column c's term, or -1.
    Plan(std::shared_ptr<const Products> products, Layout layout, bool reml,
         std::vector<std::vector<Index>> intercepts);
    // The structure of another plan, with products that differ in y only.
    Plan(const Plan& other, std::shared_ptr<const Products> products);

    // theta in the user's coordinates.
    Evaluation evaluate(const Vector& theta, int order);
    Solution solve(const Vector& theta);
    Minimum minimise(const Vector* start, const NewtonOptions& options);
    Minimum minimise_scaled(const Vector& start, const NewtonOptions& options,
                            NewtonWork* work = nullptr);
    // The optimum in both coordinates. Where a covariate's mean is far from zero, the user's theta
    // cannot hold it to the last digits (a correlation of nearly -1); the scaled one can, and is
    // used wherever exactly this theta is asked for.
    void set_anchor(Vector user, Vector scaled) {
        anchor_user_ = std::move(user);
        anchor_scaled_ = std::move(scaled);
    }
    Vector start() { return to_user(moment_start()); }
    std::vector<Vector> conditional_covariances(const Vector& theta);
    Vector row_variances(const Vector& theta, Index rows, const std::vector<bool>& include,
                         const std::vector<const std::int32_t*>& levels,
                         const std::vector<Vector>& z, const double* x);
    Derivatives derivatives(const Vector& theta);
    KenwardRogerParts kenward_roger(const Vector& theta);
    std::array<double, 3> exact_cost() const;
    // Several responses on the same rows: columns of theta, one a response (see patterns.hpp).
    PatternEngine* patterns() { return patterns_.get(); }

    const Layout& layout() const { return layout_; }
    const Criterion& criterion() const { return criterion_; }
    const Products& products() const { return *products_; }
    const std::vector<std::vector<Index>>& intercepts() const { return intercepts_; }
    // Columns of the dense Schur complement, y included.
    Index dense_columns() {
        return products_->groups.size() == 1 ? products_->p + 1 : blocks().dense_size();
    }
    // Is an evaluation cheap enough for one more not to matter?
    bool is_small() {
        double work = 0;
        for (const auto& g : products_->groups) work += static_cast<double>(g.G.size());
        const double m = static_cast<double>(dense_columns());
        return work + m * m * m < 2e6;
    }

    // Is the exact Hessian about as cheap as that? It eliminates one group only.
    bool exact_is_cheap() {
        double most = 0, rest = static_cast<double>(products_->p + 1);
        for (const auto& g : products_->groups) {
            const double effects = static_cast<double>(g.levels * g.k);
            rest += std::min(most, effects);
            most = std::max(most, effects);
        }
        return is_small() && (most + rest) * rest * rest < 2e6;
    }

    // Refits start from the moments where an evaluation costs no more than they do, else from
    // theta; not from a singular one, which is a saddle of the factors for many other responses.
    Minimum reminimise(const Vector& theta, const NewtonOptions& options);

    // Fewer levels than ten a column in some vector term: the criterion may have two minima.
    bool few_levels() const;

    // The objective in the scaled coordinates, on any basis: what the minimiser sees.
    void evaluate_scaled(const Basis& basis, const double* theta, int order, Evaluation& out);
    // What that is made of, at any lambdas of the scaled columns; `sums` until the next call.
    Status sums_at(const Lambdas& lambdas, const std::vector<Direction>& directions, int order);
    const Sums& sums() const { return sums_; }
    // Of that evaluation (a gradient of patterns, a solution of blocks), in the scaled columns.
    const Vector& scaled_beta() { return patterns_ ? patterns_->beta() : blocks().beta(); }
    Vector scaled_information_inverse() {
        return patterns_ ? patterns_->inverse_information() : blocks().inverse_information();
    }
    // A term: its columns' transform, Z~ = Z T.
    const Basis& random_transforms() const { return T_; }
    Vector moment_start();  // scaled coordinates
    void moment_start(const std::vector<Vector>& s, double rss, Vector& theta);
    Vector to_user(const Vector& scaled) const;
    void to_user(const Vector& scaled, double* out) const;
    Vector to_scaled(const Vector& user) const;

   private:
    bool needs_differences();
    Evaluation difference_hessian(const Vector& theta);
    Lambdas scaled_factors(const Vector& theta) const;
    BlockEngine& exact_engine();
    bool difference_along(const Lambdas& lambdas, const std::vector<Direction>& directions,
                          Vector& hessian);
    bool is_singular(const Vector& scaled) const;
    void try_other_starts(const NewtonOptions& options, Minimum& best);
    const MomentEquations& moment_equations();
    static void multiply_transposed(const Vector& a, const double* x, Index k, double* out);
    BlockEngine& blocks();
    bool ensure_state(const Lambdas& lambdas);
    bool ensure_blocks(const Lambdas& lambdas);
    void keep_state(const Lambdas& lambdas);
    void transformed(const Vector& theta, const Basis& basis, double* out) const;
    Lambdas lambdas_at(const Vector& theta) const;
    Vector group_basis(std::size_t group, const Basis& basis) const;

    std::shared_ptr<const Products> products_;
    std::vector<std::vector<Index>> intercepts_;
    Layout layout_;
    Criterion criterion_;
    Basis T_, T_inverse_;  // a term: Z~ = Z T
    std::unique_ptr<BlockEngine> blocks_, exact_;
    std::unique_ptr<PatternEngine> patterns_;
    std::shared_ptr<const MomentEquations> moments_;
    Vector anchor_user_, anchor_scaled_;
    Lambdas state_;  // lambdas of the last evaluation of the engine that solves
    // Of the last basis and theta, kept for their storage.
    Vector moment_work_, moment_psi_;
    Basis basis_;
    std::vector<Direction> directions_;
    Lambdas lambdas_;
    double state_logdet_L_ = 0, state_logdet_RX_ = 0, state_rss_ = 0;
    Sums sums_;
};

}  // namespace pp
