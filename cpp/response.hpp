// Another response on the same rows: only y's blocks are computed anew.
#pragma once

#include "filler.hpp"

namespace pp {

// Of a response after the least-squares fit has been taken off: y0 and delta0 of the transform,
// [X y]'Wy, and Z_j'Wy of each group (levels x k).
struct Moments {
    double y0 = 0;
    Vector delta0, Dy;
    std::vector<Vector> Zy;
    // Residual sum of squares of that fit.
    double rss() const { return Dy.back(); }
    // The products with this response, whose largest sqrt(w) |y - offset| is `size`.
    Products replaced(const Products& products, double size) const;
};

class ResponseMoments : public Moments {
   public:
    // `rows` and `products` must outlive this; rows.y is not looked at.
    ResponseMoments(const RowSet& rows, const Products& products);

    void compute(const double* y);

    // The products with the response of the last compute(), y.
    Products replaced(const double* y) const { return Moments::replaced(products_, size(y)); }
    // Largest sqrt(w) |y - offset|.
    double size(const double* y) const;

   private:
    const Block& block(Index start);
    template <int K>
    void scatter(const Block& b, const std::int32_t* codes, Index offset, Index k,
                 double* out) const;
    void response(const double* y, Index start, Index rows, double* out) const;

    RowSet rows_;
    const Products& products_;
    Index p_, w_;
    Vector L_;  // Cholesky factor of X'WX
    Filler filler_;
    std::vector<Block> kept_;  // the blocks of a small design, filled once
    Vector y_;
};

}  // namespace pp
