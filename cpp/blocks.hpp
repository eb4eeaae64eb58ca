// The objective by block elimination (docs/math.md, M1 to M6): levels of the leading groups one by
// one, the rest as one dense Schur complement.
#pragma once

#include <memory>

#include "lapack.hpp"
#include "layout.hpp"
#include "products.hpp"

namespace pp {

// A group whose levels stay uncoupled from each other and are eliminated level by level. Its
// coupling with the dense columns is kept as a list of columns a level; with a group eliminated
// later (one that it is nested in) as one level.
struct Eliminated {
    Index group = 0, k = 0, levels = 0;
    std::vector<Index> start;          // levels + 1, into `column`
    std::vector<std::int32_t> column;  // dense columns, ascending within a level
    Vector B;                          // a level: k x (columns, X, y)
    // One entry a group eliminated later, empty where it is not coupled.
    std::vector<std::vector<std::int32_t>> parent;  // level of the later group
    std::vector<Vector> A;                          // a level: k x k_later
    std::vector<std::vector<std::int32_t>> place;   // of `column` in the parent's list
    // Working copies of groups that receive updates (all but the first).
    Vector Gw, Bw;
    std::vector<Vector> Aw;
    // State of the last evaluation.
    Vector P, Linv, Pi;  // a level: L^-1 lambda', L^-1, (I - G K)
    Vector u, b, s;
    Vector kappa, kappa_c;        // selected inverse, groups with descendants only
    std::vector<Vector> kappa_a;  // ... against later groups
    bool dense_coupling = false;

    Index columns(Index j) const { return start[j + 1] - start[j]; }
    Index at(Index j, Index width) const { return k * (start[j] + j * width); }
};

struct DenseGroup {
    Index group = 0, k = 0, levels = 0, offset = 0;
};

class BlockEngine {
   public:
    BlockEngine(std::shared_ptr<const Products> products, const Layout& layout, bool reml,
                bool eliminate_one = false);

    // Columns of the dense Schur complement, y included, before anything is allocated.
    static Index dense_columns(const Products& products);

    Status evaluate(const Lambdas& lambdas, const std::vector<Direction>& directions, int order,
                    Sums& sums);

    // Of the last evaluation with order >= kGradient, in the transformed coordinates.
    const Vector& beta() const { return beta_; }
    // Z_j'W (residual), a level: k.
    Vector scores(Index group) const { return collect(group, &Eliminated::s, s_dense_); }
    Vector inverse_information() const;  // (X~'V^-1 X~)^-1, p x p

    // lambda [M^-1]_jj lambda' (without X) of every group, a level: k x k.
    std::vector<Vector> conditional_covariances();

    // g'Omega^-1 g of rows: z is a group (levels, and k x rows values), x is p x rows
    // (transformed). A level of -1 adds z'Psi z on its own. include[g] == false leaves the group
    // out.
    Vector row_variances(Index rows, const std::vector<bool>& include,
                         const std::vector<const std::int32_t*>& levels,
                         const std::vector<Vector>& z, const double* x);

    // Z'V^-1 X of every group, a level: k x p, in the transformed coordinates; after a solution.
    std::vector<Vector> fixed_scores() const;
    // tr(P V_x P V_y) of every two pairs, V_x = Z S_x Z'; by the engine of ML with V^-1 for P. For
    // one eliminated group, after an evaluation with order >= kAverage.
    Vector pair_traces(const std::vector<Pair>& pairs) const {
        return pair_traces(pairs, reml_ ? p_ : 0);
    }
    // v_x'E_Z v_y, E_Z = Z'V^-1 Z and v_x = S_x Z'V^-1 X: p x p blocks of a (pairs p) x (pairs p)
    // matrix. By the engine of ML, under the same conditions.
    Vector score_products(const std::vector<Pair>& pairs, const std::vector<Vector>& scores) const;

    Index dense_size() const { return m_; }
    std::size_t eliminated() const { return steps_.size(); }

   private:
    void choose_order(bool eliminate_one);
    void couple(std::size_t e);
    void assemble_dense();

    template <int K>
    bool forward(std::size_t e, const double* lambda, LogProduct& logdet);
    template <int K>
    void back_substitute(std::size_t e, const double* lambda, GroupSums& sums);
    template <int K>
    void trace(std::size_t e, const double* lambda, GroupSums& sums, Index px);
    void trace_dense_coupling(std::size_t e, Index px, Vector& X);
    Index full_coupling(std::size_t e, Index j, Index px, Vector& full) const;
    void level_kappa(std::size_t e, Index j, Index px, const Vector& kappa, const Vector& full,
                     double* out);
    void stack_rows(std::size_t e, Index px, Vector& R) const;
    void update_parents(std::size_t e, Index j, const double* H);
    void gather(const Eliminated& E, std::size_t e, Index j, Index px, Vector& kappa) const;
    bool factor_dense(const Lambdas& lambdas, Sums& sums);
    void solve_dense(const Lambdas& lambdas);
    void invert_dense(Index px);
    void trace_dense(const Lambdas& lambdas, Sums& sums, Index px, int order);
    void scale_inverse(const Lambdas& lambdas, Index px);
    void average(const std::vector<Direction>& directions, Sums& sums);
    void exact_trace(const std::vector<Direction>& directions, Sums& sums);
    Vector pair_traces(const std::vector<Pair>& pairs, Index px) const;
    std::vector<Vector> squared_coupling(const std::vector<Pair>& pairs,
                                         const std::vector<Index>& own, Index px, Vector& N) const;
    Vector divisible_inverse(const DenseGroup& g, Index mt) const;
    Vector half_columns(const DenseGroup& g, Index mt) const;
    Vector complement_columns(const DenseGroup& g, Index mt, const Vector& W) const;
    Vector difference_block(const DenseGroup& R, const Vector& WR, const DenseGroup& C,
                            const Vector& WC, Index mt) const;
    Vector divided_block(const DenseGroup& R, const Vector& inverse_R, const DenseGroup& C,
                         const Vector& inverse_C, const Vector& F, Index mt) const;
    void apply_lambda(const Lambdas& lambdas, double* x, Index cols, Index ld,
                      bool transpose) const;
    Vector collect(Index group, Vector Eliminated::* field, const Vector& dense) const;

    const double* gram(std::size_t e) const {
        return e == 0 ? products_->groups[steps_[0].group].G.data() : steps_[e].Gw.data();
    }
    const double* coupling(std::size_t e) const {
        return e == 0 ? steps_[0].B.data() : steps_[e].Bw.data();
    }
    const double* parents(std::size_t e, std::size_t f) const {
        return e == 0 ? steps_[0].A[f].data() : steps_[e].Aw[f].data();
    }

    std::shared_ptr<const Products> products_;
    Layout layout_;
    bool reml_;
    Index p_ = 0, width_ = 0, q_ = 0, m_ = 0;  // width = p + 1; m = q + p + 1 dense columns
    std::vector<Eliminated> steps_;
    std::vector<DenseGroup> dense_;
    bool scalar_dense_ = true;
    Lambdas lambdas_;      // of the last evaluation
    Vector start_;         // Schur complement before elimination, lower triangle
    Vector schur_, chol_;  // S~ (symmetric, in full), and the Cholesky factor of S
    Vector kappa_;         // S^-1, then Lambda S^-1 Lambda', over (r, X) or r
    Vector stack_;         // dense coupling: rows of L^-1 lambda' B
    Vector beta_, u_dense_, b_dense_, s_dense_;
};

// X'V^-1 Z S_x Z'V^-1 X of each pair, p x p, from the scores of X.
Vector fixed_squares(const std::vector<Pair>& pairs, const Layout& layout,
                     const std::vector<Vector>& scores, Index p);

}  // namespace pp
