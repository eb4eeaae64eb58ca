// One grouping factor whose levels share few distinct Z_j'WZ_j: the objective costs as much as
// there are patterns, whatever the number of levels (docs/math.md, M10).
#pragma once

#include "layout.hpp"
#include "products.hpp"

namespace pp {

class PatternEngine {
   public:
    // The number of distinct Gram matrices, or 0 when there are more than `limit`.
    static Index count(const Products& products, Index limit);

    PatternEngine(const Products& products, bool reml);

    // Another response: Z_j'Wy (levels x k), and [X y]'Wy (p + 1).
    void set_response(const double* Zy, const double* Dy);

    Status evaluate(const Lambdas& lambdas, const std::vector<Direction>& directions, int order,
                    Sums& sums);

    // The same structure on products that differ in y only.
    PatternEngine(const PatternEngine& other, const Products& products);

    // Of the last evaluation with a gradient, in the transformed columns: beta, (X'V^-1 X)^-1, and
    // Z_j'W (residual) of every level.
    const Vector& beta() const { return beta_; }
    const Vector& inverse_information() const { return work_.info; }
    Vector scores(const double* lambda) const;
    double total() const { return D_.back(); }  // y'Wy

   private:
    template <int K>
    void add_response(const double* Zy);
    template <int K>
    Status run(const double* lambda, const std::vector<Direction>& directions, int order,
               Sums& sums);

    const Products* products_;
    bool reml_;
    Index k_, p_, w_, patterns_ = 0;
    std::vector<std::int32_t> pattern_;  // of each level
    Vector count_;                       // levels a pattern
    Vector G_;                           // a pattern: k x k
    // A pattern: for columns x <= y of [X y], sum_j c_jx c_jy', k x k, at pair(x, y).
    Vector S_;
    Vector D_, beta_;
    struct Work {
        Vector small, Linv, P, K, S, gamma, Y, Xinv, info, Pi, R, Sx, t1, t2, t3, A, GA, F, B;
    } work_;
    Index pair(Index x, Index y) const { return y * (y + 1) / 2 + x; }
    Index pairs() const { return w_ * (w_ + 1) / 2; }
};

}  // namespace pp
