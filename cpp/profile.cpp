#include "profile.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pp {

namespace {

constexpr double kPi = 3.141592653589793238462643383280;
constexpr double kNear = 0.03;   // of zeta: interpolation from so near is exact to 1e-6
constexpr double kPass = 5e-3;   // how far beyond the last distance to aim
constexpr double kNone = 1e-7;   // standard deviation, of sigma, that counts as zero
constexpr double kAtEnd = 1e-6;  // angle from a correlation of one that counts as none
constexpr double kRough = 1e-5;  // decrement that passes where rounding stops the minimiser
constexpr double kLower = 1e-7;  // deviance by which a minimum is another one
constexpr double kLift = 0.3;    // of sigma, in scaled columns: well off the boundary
constexpr int kRepairs = 4;      // walks through all points
constexpr int kTries = 12;       // points a distance
constexpr int kFailures = 5;     // halvings of a step before a side is given up

struct Node {
    double u = 0, value = 0, slope = 0, zeta = 0, rate = 0;  // rate = d zeta / du
    Vector z, parameters;
};

// The criterion as a function of what is free while one parameter is held at u.
class Family {
   public:
    explicit Family(Plan& plan) : plan_(plan) {
        const Index p = plan.products().p;
        A_.resize(p * p);
        pilot_.resize(p);
        fixed_basis(plan.products().transform, p, A_.data(), pilot_.data());
    }
    virtual ~Family() = default;
    virtual Chart& hold(double u) = 0;
    // Slope and parameters, right after an evaluation at the optimum.
    virtual void describe(Chart& chart, Node& node) = 0;
    // Where to start there, if not from the neighbours.
    virtual const Vector* start_at(double) const { return nullptr; }
    virtual bool undefined() const { return false; }
    // Models whose deviance no point exceeds, and where to start each.
    virtual std::vector<std::pair<Chart*, Vector>> ceilings() { return {}; }
    // Exact Hessians come from the blocks of the plan's own response.
    virtual bool exact() const { return true; }

    double estimate = 0, rate = 0, lowest = -INFINITY, highest = INFINITY;
    Vector start, tangent;

    void fill(const Chart& chart, const Vector& beta, Node& node) const {
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
                for (Index l = 0; l < k; ++l)
                    axpy(psi[l + c * k], ptr(T, l * k), ptr(half, c * k), k);
            for (Index c = 0; c < k; ++c)
                for (Index l = 0; l < k; ++l)
                    axpy(T[c + l * k], ptr(half, l * k), ptr(user, c * k), k);
            Vector sd(k);
            for (Index c = 0; c < k; ++c) sd[c] = std::sqrt(std::max(0.0, user[c + c * k]));
            for (Index c = 0; c < k; ++c) node.parameters.push_back(sigma * sd[c]);
            for (Index c = 0; c < k && !layout.terms[t].diagonal; ++c)
                for (Index r = c + 1; r < k; ++r) {
                    const double both = sd[r] * sd[c];
                    node.parameters.push_back(
                        both > 0 ? std::clamp(user[r + c * k] / both, -1.0, 1.0) : NAN);
                }
        }
    }

   protected:
    Plan& plan_;
    Vector A_, pilot_;
};

// sigma, a standard deviation, or a correlation.
class VarianceFamily : public Family {
   public:
    VarianceFamily(Plan& plan, const Vector& theta, const Target& target, double log_sigma,
                   bool exact)
        : Family(plan), kind_(target.kind), chart_(plan, held(target.kind), target.term, target.i,
                                                   target.j, log_sigma) {
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
                without_.push_back(
                    std::make_unique<Chart>(plan, Held::zero, target.term, column));
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
                    out[c + a * w] = a < p_ ? dot(ptr(B_, a * p_), ptr(in, c * w), p_)
                                            : in[p_ + c * w];
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

class Walk {
   public:
    Walk(Family& family, const NewtonOptions& options, Node&& centre)
        : family_(family), options_(options), base_(centre.value) {
        options_.report = options_.other_starts = false;
        options_.exact_tail = options_.exact_tail && family.exact();
        nodes_.push_back(std::move(centre));
        ceiling_.value = INFINITY;
        for (const auto& [chart, start] : family.ceilings()) {
            Minimum m;
            Node node;
            if (!best_of(*chart, start, m) || !settle(*chart, m, node)) continue;
            evaluations += chart->evaluations();
            if (node.value < ceiling_.value) ceiling_ = std::move(node);
        }
    }

    // A side may have found a lower minimum on its way, which then may be lower before that place
    // too. Follow it back; true if it was.
    bool repair() {
        bool changed = false;
        for (int direction = -1; direction < 2; direction += 2) {
            const Index end = direction > 0 ? Index(nodes_.size()) - 1 : 0;
            for (Index i = end; direction * (i - centre_) > 1; i -= direction) {
                const Node& outer = nodes_[i];
                Node& inner = nodes_[i - direction];
                if (outer.z.empty() || inner.z.empty() || agree(inner, outer)) continue;
                Node again;
                const Vector start = outer.z;
                if (!solve(inner.u, again, &start) || again.value > inner.value - kLower) continue;
                inner = std::move(again);
                changed = true;
            }
        }
        return changed;
    }

    End side(int direction, const Vector& distances) {
        const double bound = direction > 0 ? family_.highest : family_.lowest;
        if (family_.estimate == bound) return End::none;
        double limit = bound;  // not to be passed, after a failure
        int failures = 0;
        for (std::size_t t = 0; t < distances.size(); ++t) {
            const bool last = t + 1 == distances.size();
            const double wanted = distances[t], aim = wanted + (last ? kPass : 0);
            for (int tries = 0;; ++tries) {
                const auto [inner, outer] = bracket(direction, wanted);
                const double before = std::fabs(nodes_[inner].zeta);
                const bool near_inner = !last && inner != centre_ && wanted - before < kNear;
                double u = 0;
                if (outer >= 0) {
                    if (near_inner || std::fabs(nodes_[outer].zeta) - wanted < kNear) break;
                    if (tries >= kTries) break;
                    u = between(nodes_[inner], nodes_[outer], aim);
                } else {
                    if (near_inner) break;
                    if (nodes_[inner].u == bound) return End::bound;
                    if (tries >= kTries) return End::failed;
                    u = nodes_[inner].value == ceiling_.value ? bound
                                                              : beyond(inner, direction, aim);
                    if (!std::isfinite(u)) return End::failed;
                    if (direction * (u - limit) > 0) u = limit;
                    // Nearly there: go there.
                    if (std::fabs(u - nodes_[inner].u) > 0.9 * std::fabs(bound - nodes_[inner].u))
                        u = bound;
                }
                Node node;
                if (solve(u, node)) {
                    insert(std::move(node));
                    limit = bound;
                    continue;
                }
                failed.push_back(u);
                if (++failures > kFailures) return End::failed;
                limit = 0.5 * (u + nodes_[inner].u);
            }
        }
        return End::reached;
    }

    const std::vector<Node>& nodes() const { return nodes_; }
    Vector failed;
    Index evaluations = 0;

   private:
    void insert(Node&& node) {
        const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), node.u,
                                         [](const Node& a, double u) { return a.u < u; });
        if (at - nodes_.begin() <= centre_) ++centre_;
        nodes_.insert(at, std::move(node));
    }

    // Do two values differ as their slopes say? Not if they belong to different minima.
    static bool agree(const Node& a, const Node& b) {
        const double rise = 0.5 * (a.slope + b.slope) * (b.u - a.u);
        return std::fabs(b.value - a.value - rise) < 0.1 * std::fabs(rise) + 0.01;
    }

    // The last point before the distance and the first behind it (-1: none), from the centre out.
    std::pair<Index, Index> bracket(int direction, double wanted) const {
        Index inner = centre_;
        for (Index i = centre_ + direction; i >= 0 && i < Index(nodes_.size()); i += direction) {
            if (std::fabs(nodes_[i].zeta) >= wanted) return {inner, i};
            inner = i;
        }
        return {inner, -1};
    }

    // Where the cubic through two points and their slopes has |zeta| = wanted.
    static double between(const Node& a, const Node& b, double wanted) {
        const double h = b.u - a.u, ya = std::fabs(a.zeta), yb = std::fabs(b.zeta);
        const double sign = b.zeta < 0 ? -1 : 1, ma = sign * a.rate * h, mb = sign * b.rate * h;
        if (wanted >= yb) wanted = yb - 0.1 * (yb - ya);
        double low = 0, high = 1;
        for (int i = 0; i < 50; ++i) {
            const double s = 0.5 * (low + high), q = 1 - s;
            const double y = ya * (1 + 2 * s) * q * q + ma * s * q * q + yb * s * s * (3 - 2 * s) -
                             mb * s * s * q;
            (y < wanted ? low : high) = s;
        }
        return a.u + h * std::clamp(0.5 * (low + high), 0.02, 0.98);
    }

    // Further out, from the rates of the last two points.
    double beyond(Index inner, int direction, double aim) const {
        const Node& a = nodes_[inner];
        const double gap = aim - std::fabs(a.zeta);
        const Index previous = inner - direction;
        const bool first = inner == centre_;
        const double done = std::fabs(a.u - family_.estimate);
        double step = a.rate > 0 ? gap / a.rate : INFINITY;
        if (!first && nodes_[previous].rate > 0 && a.rate > 0) {
            const Node& b = nodes_[previous];
            const double bend = (1 / a.rate - 1 / b.rate) /
                                std::max(1e-3, std::fabs(a.zeta) - std::fabs(b.zeta));
            step = std::clamp(step + 0.5 * bend * gap * gap, 0.4 * step, 2.5 * step);
        }
        if (!first) step = std::min(step, 2 * done);
        if (!std::isfinite(step) || step <= 0)
            step = first ? 0.1 * std::max(std::fabs(a.u), 1e-3) : done;
        return a.u + direction * step;
    }

    // Polynomial through the nearest points; along the tangent from the centre alone.
    Vector predicted(double u) const {
        std::vector<const Node*> near;
        for (const Node& n : nodes_)
            if (!n.z.empty()) near.push_back(&n);
        std::sort(near.begin(), near.end(), [&](const Node* a, const Node* b) {
            return std::fabs(a->u - u) < std::fabs(b->u - u);
        });
        Vector z = near[0]->z;
        if (near.size() == 1) {
            if (!family_.tangent.empty())
                axpy(u - near[0]->u, family_.tangent.data(), z.data(), Index(z.size()));
            return z;
        }
        const std::size_t count = std::min<std::size_t>(near.size(), 3);
        std::fill(z.begin(), z.end(), 0.0);
        for (std::size_t i = 0; i < count; ++i) {
            double weight = 1;
            for (std::size_t j = 0; j < count; ++j)
                if (j != i) weight *= (u - near[j]->u) / (near[i]->u - near[j]->u);
            axpy(weight, near[i]->z.data(), z.data(), Index(z.size()));
        }
        return z;
    }

    const Vector& nearest(double u) const {
        const Node* best = nullptr;
        for (const Node& n : nodes_)
            if (!n.z.empty() && (!best || std::fabs(n.u - u) < std::fabs(best->u - u))) best = &n;
        return best->z;
    }

    bool minimise(Chart& chart, const Vector& start, Minimum& m) {
        work_.basis.clear();
        if (chart.layout().size == 0) {  // nothing is free: settle() evaluates
            m = Minimum();
            return true;
        }
        m = newton(chart, start, options_, &work_);
        if (!std::isfinite(m.value)) return false;
        return m.outcome == Outcome::converged ||
               (m.outcome == Outcome::no_progress && m.decrement < kRough);
    }

    // A start on the boundary can end in a minimum there that is not the lowest.
    bool best_of(Chart& chart, const Vector& start, Minimum& m) {
        if (!minimise(chart, start, m)) return false;
        const Vector off = lifted(chart.layout(), m.theta);
        if (off.empty()) return true;
        Minimum other;
        if (minimise(chart, off, other) && other.value < m.value - kLower) m = std::move(other);
        m.evaluated = false;
        return true;
    }

    bool solve(double u, Node& node, const Vector* from = nullptr) {
        Chart& chart = family_.hold(u);
        const Index before = chart.evaluations();
        const Vector* own = family_.start_at(u);
        Minimum m;
        bool ok = false;
        if (own || from)
            ok = best_of(chart, own ? *own : *from, m);
        else
            ok = best_of(chart, predicted(u), m) || best_of(chart, nearest(u), m);
        node.u = u;
        if (ok) ok = settle(chart, m, node);
        if (ok && !own) node.z = m.theta;
        if (ok && node.value > ceiling_.value) {
            node.value = ceiling_.value;
            node.slope = 0;
            node.parameters = ceiling_.parameters;
        }
        if (ok) {
            const double size = std::sqrt(std::max(0.0, node.value - base_));
            node.zeta = u < family_.estimate ? -size : size;
            node.rate = size > 1e-4 ? node.slope / (2 * node.zeta) : family_.rate;
        }
        evaluations += chart.evaluations() - before;
        return ok;
    }

    // With standard deviations of zero given a size; empty where there are none, or evaluations are
    // too dear.
    Vector lifted(const Layout& layout, const Vector& z) const {
        if (z.empty()) return {};
        Vector out = z;
        bool any = false;
        for (const Term& t : layout.terms)
            for (Index c = 0; c < t.k && options_.polish && !t.loose; ++c) {
                double& own = out[element(t, c, c)];
                if (std::fabs(own) > kNone) continue;
                own = kLift;
                any = true;
            }
        return any ? out : Vector();
    }

    // Value, slope and parameters at an optimum: its own evaluation, or another one.
    bool settle(Chart& chart, const Minimum& m, Node& node) {
        node.value = m.value;
        if (!m.evaluated || chart.last_order() >= kExact) {
            Evaluation e;
            chart.evaluate(identity_basis(chart.layout()), m.theta.data(), kGradient, e);
            if (e.status != Status::ok) return false;
            node.value = e.value;
        }
        family_.describe(chart, node);
        return true;
    }

    Family& family_;
    NewtonOptions options_;
    double base_;
    Node ceiling_;  // no point lies higher
    std::vector<Node> nodes_;
    Index centre_ = 0;
    NewtonWork work_;
};

}  // namespace

ProfilePath profile(Plan& plan, const Vector& theta, const Target& target, const Vector& distances,
                    const NewtonOptions& options) {
    ProfilePath out;
    Chart whole(plan, Held::none);
    Evaluation e;
    whole.evaluate(identity_basis(plan.layout()), theta.data(), kGradient, e);
    if (e.status != Status::ok) {
        out.lower = out.upper = End::failed;
        return out;
    }
    const double log_sigma = 0.5 * std::log(e.scale);
    Node centre;
    centre.value = out.deviance_at_estimate = e.value;
    std::unique_ptr<Family> family;
    if (target.kind == Parameter::coefficient)
        family = std::make_unique<CoefficientFamily>(plan, theta, target.i);
    else
        family = std::make_unique<VarianceFamily>(plan, theta, target, log_sigma,
                                                  options.exact_tail);
    whole.evaluate(identity_basis(plan.layout()), theta.data(), kGradient, e);
    family->fill(whole, plan.scaled_beta(), centre);
    centre.u = out.estimate = family->estimate;
    centre.z = family->start;
    centre.rate = out.rate = family->rate;
    if (target.kind == Parameter::correlation && family->undefined()) {
        out.undefined = true;
        return out;
    }
    Walk walk(*family, options, std::move(centre));
    for (int pass = 0; pass == 0 || (pass < kRepairs && walk.repair()); ++pass) {
        out.lower = walk.side(-1, distances);
        out.upper = walk.side(1, distances);
    }
    for (const Node& n : walk.nodes()) {
        out.u.push_back(n.u);
        out.deviance.push_back(n.value);
        out.slope.push_back(n.slope);
        out.parameters.insert(out.parameters.end(), n.parameters.begin(), n.parameters.end());
    }
    out.failed = walk.failed;
    out.evaluations = walk.evaluations;
    return out;
}

}  // namespace pp
