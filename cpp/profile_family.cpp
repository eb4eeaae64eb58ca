#include "profile_family.hpp"

#include <algorithm>
#include <cmath>

namespace pp {

namespace {

constexpr double kPi = 3.141592653589793238462643383280;
constexpr double kNone = 1e-7;   // standard deviation, of sigma, that counts as zero
constexpr double kAtEnd = 1e-6;  // angle from a correlation of one that counts as none

// sigma, a standard deviation, or a correlation.
class VarianceFamily : public Family {
   public:
    VarianceFamily(Plan& plan, const Vector& theta, const Target& target, double log_sigma,
                   bool exact)
        : Family(plan),
          kind_(target.kind),
          chart_(plan, held(target.kind), target.term, target.i, target.j, log_sigma) {
        start = chart_.coordinates(theta.data(), estimate);
        if (kind_ == Parameter::sd) {
            zero_ = std::make_unique<Chart>(plan, Held::zero, target.term, target.i);
            double nothing = 0;
            empty_ = zero_->coordinates(theta.data(), nothing);
            lowest = 0;
            if (estimate < kNone * std::exp(log_sigma)) estimate = 0;
        }
        if (kind_ == Parameter::correlation) {
            // Beside a standard deviation of zero any correlation is right.
            for (Index column : {target.i, target.j}) {
                without_.push_back(std::make_unique<Chart>(plan, Held::zero, target.term, column));
                double nothing = 0;
                starts_.push_back(without_.back()->coordinates(theta.data(), nothing));
            }
            lowest = -kPi / 2;
            highest = kPi / 2;
            if (std::fabs(estimate) > highest - kAtEnd) estimate = std::copysign(highest, estimate);
        }
        chart_.hold(estimate);
        Evaluation e;
        const Basis identity = identity_basis(chart_.layout());
        chart_.evaluate(identity, start.data(), exact ? kExact : kAverage, e);
        if (e.status != Status::ok) return;
        const double curvature = chart_.curvature(tangent);
        rate = curvature > 0 ? std::sqrt(0.5 * curvature) : 0;
    }

    std::vector<std::pair<Chart*, Vector>> ceilings() override {
        std::vector<std::pair<Chart*, Vector>> out;
        for (std::size_t i = 0; i < without_.size(); ++i)
            out.emplace_back(without_[i].get(), starts_[i]);
        return out;
    }
    // Zero is another model: without the column.
    Chart& hold(double u) override {
        if (zero_ && u == 0) return *zero_;
        chart_.hold(u);
        return chart_;
    }
    void describe(Chart& chart, Node& node) override {
        node.slope = &chart == &chart_       ? chart.slope()
                     : &chart == zero_.get() ? chart.slope_at_zero()
                                             : 0;
        fill(chart, plan_.scaled_beta(), node);
    }
    const Vector* start_at(double u) const override { return zero_ && u == 0 ? &empty_ : nullptr; }
    bool undefined() const override {
        return kind_ == Parameter::correlation && chart_.at_end(start, kNone);
    }

   private:
    static Held held(Parameter kind) {
        return kind == Parameter::sigma ? Held::sigma
               : kind == Parameter::sd  ? Held::sd
                                        : Held::correlation;
    }
    Parameter kind_;
    Chart chart_;
    std::unique_ptr<Chart> zero_;
    std::vector<std::unique_ptr<Chart>> without_;
    std::vector<Vector> starts_;
    Vector empty_;
};

// A coefficient: maximum likelihood without its column, for the response less beta_i x_i. The
// columns are turned so that beta_i alone decides one of them.
class CoefficientFamily : public Family {
   public:
    CoefficientFamily(Plan& plan, const Vector& theta, Index column)
        : Family(plan), column_(column), p_(plan.products().p), row_(p_) {
        start = theta;
        for (Index c = 0; c < p_; ++c) row_[c] = A_[column + c * p_];
        Chart full(plan, Held::none);
        Evaluation e;
        full.evaluate(identity_basis(plan.layout()), theta.data(), kGradient, e);
        if (e.status != Status::ok) return;
        const auto [beta, variance] = estimate_in_full();
        estimate = beta;
        rate = 1 / std::sqrt(e.scale * variance);
        reduce();
    }

    Chart& hold(double u) override {
        u_ = u;
        const Products& P = plan_.products();
        const Index w = p_ + 1, r = p_;  // r: columns of the reduced [X y]
        const double g = (u - pilot_[column_]) / length_;
        Vector Dy(r);
        for (Index c = 0; c < p_ - 1; ++c) Dy[c] = Dy_[c] - g * Dx_[c];
        Dy[p_ - 1] = P.D[p_ + p_ * w] - 2 * g * Dx_[p_] + g * g * Dx_[p_ - 1];
        if (reduced_->patterns()) {
            Vector Zy = Zy_[0];
            axpy(-g, Zx_[0].data(), Zy.data(), static_cast<Index>(Zy.size()));
            reduced_->patterns()->set_response(Zy.data(), Dy.data());
            return *chart_;
        }
        auto products = std::make_shared<Products>(*products_);
        for (Index c = 0; c < r; ++c)
            products->D[c + (r - 1) * r] = products->D[r - 1 + c * r] = Dy[c];
        for (std::size_t i = 0; i < Zy_.size(); ++i) {
            GroupProducts& group = products->groups[i];
            for (Index j = 0; j < group.levels; ++j)
                for (Index a = 0; a < group.k; ++a)
                    group.C[(j * r + r - 1) * group.k + a] =
                        Zy_[i][j * group.k + a] - g * Zx_[i][j * group.k + a];
        }
        products_ = products;
        reduced_ = std::make_unique<Plan>(*reduced_, products_);
        chart_ = std::make_unique<Chart>(*reduced_, Held::none);
        return *chart_;
    }

    bool exact() const override { return !plan_.patterns(); }

    // r^2 of the reduced model is that of the full one + (beta_i - its estimate)^2 / its variance.
    void describe(Chart& chart, Node& node) override {
        const Vector inner = reduced_->scaled_beta();
        const double g = (u_ - pilot_[column_]) / length_;
        Vector beta(p_, 0.0);
        for (Index c = 0; c + 1 < p_; ++c) axpy(inner[c], ptr(B_, c * p_), beta.data(), p_);
        axpy(g, ptr(B_, (p_ - 1) * p_), beta.data(), p_);
        fill(chart, beta, node);
        const int order = plan_.patterns() ? kGradient : kSolution;
        if (plan_.sums_at(chart.lambdas(), {}, order) != Status::ok) return;
        const auto [best, variance] = estimate_in_full();
        node.slope = 2 * (u_ - best) / (variance * chart.scale());
    }

   private:
    std::pair<double, double> estimate_in_full() {
        const Vector& beta = plan_.scaled_beta();
        const Vector info = plan_.scaled_information_inverse();
        double variance = 0;
        for (Index c = 0; c < p_; ++c)
            variance += row_[c] * dot(ptr(info, c * p_), row_.data(), p_);
        return {pilot_[column_] + dot(row_.data(), beta.data(), p_), variance};
    }

    // Products of the turned columns: all but the last, and y; the last one beside them.
    void reduce() {
        const Products& P = plan_.products();
        const Index w = p_ + 1, r = p_;
        span_rows(row_, 1, p_, B_);
        std::rotate(B_.begin(), B_.begin() + p_, B_.end());  // its own direction last
        length_ = std::sqrt(dot(row_.data(), row_.data(), p_));
        // D of [X B, y]
        Vector half(w * w, 0.0), D(w * w, 0.0);
        const auto turn = [&](const Vector& in, Vector& out) {  // out' = blockdiag(B, 1)' in
            for (Index c = 0; c < w; ++c)
                for (Index a = 0; a < w; ++a)
                    out[c + a * w] =
                        a < p_ ? dot(ptr(B_, a * p_), ptr(in, c * w), p_) : in[p_ + c * w];
        };
        turn(P.D, half);
        turn(half, D);
        auto products = std::make_shared<Products>();
        products->n = P.n;
        products->p = p_ - 1;
        products->sum_log_weights = P.sum_log_weights;
        products->pairs = P.pairs;
        products->transform.zshift = P.transform.zshift;
        products->transform.zscale = P.transform.zscale;
        products->transform.y_size = P.transform.y_size;
        products->transform.xshift.assign(p_ - 1, 0.0);
        products->transform.xscale.assign(p_ - 1, 1.0);
        products->transform.delta0.assign(p_ - 1, 0.0);
        products->D.assign(r * r, 0.0);
        const auto place = [&](Index c) { return c < p_ - 1 ? c : p_; };  // leaves the last out
        for (Index c = 0; c < r; ++c)
            for (Index a = 0; a < r; ++a) products->D[a + c * r] = D[place(a) + place(c) * w];
        Dx_.assign(ptr(D, (p_ - 1) * w), ptr(D, p_ * w));
        Dy_.assign(ptr(D, p_ * w), ptr(D, p_ * w) + w);
        for (const GroupProducts& g : P.groups) {
            GroupProducts out;
            out.k = g.k;
            out.levels = g.levels;
            out.G = g.G;
            out.C.assign(g.levels * g.k * r, 0.0);
            Vector Zx(g.levels * g.k, 0.0), Zy(g.levels * g.k);
            for (Index j = 0; j < g.levels; ++j) {
                const double* C = ptr(g.C, j * g.k * w);
                for (Index c = 0; c < p_; ++c) {
                    double* to = c + 1 < p_ ? ptr(out.C, (j * r + c) * g.k) : ptr(Zx, j * g.k);
                    for (Index l = 0; l < p_; ++l) axpy(B_[l + c * p_], C + l * g.k, to, g.k);
                }
                std::copy_n(C + p_ * g.k, g.k, ptr(Zy, j * g.k));
                std::copy_n(C + p_ * g.k, g.k, ptr(out.C, (j * r + r - 1) * g.k));
            }
            Zx_.push_back(std::move(Zx));
            Zy_.push_back(std::move(Zy));
            products->groups.push_back(std::move(out));
        }
        products_ = products;
        reduced_ = std::make_unique<Plan>(products_, plan_.layout(), false, plan_.intercepts());
        chart_ = std::make_unique<Chart>(*reduced_, Held::none);
    }

    Index column_, p_;
    double u_ = 0, length_ = 1;
    Vector row_, B_, Dx_, Dy_;  // Dx: the fixed column by [X B, y]; Dy: y by the same
    std::vector<Vector> Zx_, Zy_;
    std::shared_ptr<const Products> products_;
    std::unique_ptr<Plan> reduced_;
    std::unique_ptr<Chart> chart_;
};

}  // namespace

void Family::fill(const Chart& chart, const Vector& beta, Node& node) const {
    const Index p = plan_.products().p;
    node.parameters = pilot_;
    for (Index c = 0; c < p; ++c) axpy(beta[c], ptr(A_, c * p), node.parameters.data(), p);
    const double sigma = std::sqrt(chart.scale());
    node.parameters.push_back(sigma);
    const Layout& layout = plan_.layout();
    for (std::size_t t = 0; t < layout.terms.size(); ++t) {
        const Index k = layout.terms[t].k;
        const Vector psi = chart.psi(static_cast<Index>(t));
        const Vector& T = plan_.random_transforms()[t];
        Vector half(k * k, 0.0), user(k * k, 0.0);  // T psi T'
        for (Index c = 0; c < k; ++c)
            for (Index l = 0; l < k; ++l) axpy(psi[l + c * k], ptr(T, l * k), ptr(half, c * k), k);
        for (Index c = 0; c < k; ++c)
            for (Index l = 0; l < k; ++l) axpy(T[c + l * k], ptr(half, l * k), ptr(user, c * k), k);
        Vector sd(k);
        for (Index c = 0; c < k; ++c) sd[c] = std::sqrt(std::max(0.0, user[c + c * k]));
        for (Index c = 0; c < k; ++c) node.parameters.push_back(sigma * sd[c]);
        for (Index c = 0; c < k && !layout.terms[t].diagonal; ++c)
            for (Index r = c + 1; r < k; ++r) {
                const double both = sd[r] * sd[c];
                node.parameters.push_back(both > 0 ? std::clamp(user[r + c * k] / both, -1.0, 1.0)
                                                   : NAN);
            }
    }
}

std::unique_ptr<Family> make_family(Plan& plan, const Vector& theta, const Target& target,
                                    double log_sigma, bool exact) {
    if (target.kind == Parameter::coefficient)
        return std::make_unique<CoefficientFamily>(plan, theta, target.i);
    return std::make_unique<VarianceFamily>(plan, theta, target, log_sigma, exact);
}

}  // namespace pp
