#include "refit.hpp"

#include <cmath>

namespace pp {

RefitResult refit_many(Plan& plan, const RowSet& rows, const double* y, Index responses,
                       const Vector& start, const NewtonOptions& options) {
    RefitResult out;
    const Index K = plan.layout().size, p = plan.products().p;
    out.theta.resize(responses * K);
    out.beta.resize(responses * p);
    out.sigma.resize(responses);
    out.value.resize(responses);
    out.converged.resize(responses);
    RowSet view = rows;
    for (Index r = 0; r < responses; ++r) {
        view.y = y + r * rows.n;
        Plan one(std::make_shared<Products>(replace_response(plan.products(), view)),
                 plan.layout(), plan.criterion().reml, plan.intercepts());
        const Minimum m = one.minimise(&start, options);
        const Vector theta = one.to_user(m.theta);
        const Solution s = one.solve(theta);
        std::copy(theta.begin(), theta.end(), &out.theta[r * K]);
        std::copy(s.beta.begin(), s.beta.end(), &out.beta[r * p]);
        out.sigma[r] = s.ok ? std::sqrt(s.scale) : NAN;
        out.value[r] = s.ok ? s.value : NAN;
        out.converged[r] = s.ok && m.outcome == Outcome::converged && m.kkt;
    }
    return out;
}

}  // namespace pp
