#include "profile.hpp"

#include <algorithm>
#include <cmath>

#include "profile_family.hpp"

namespace pp {

namespace {

constexpr double kNear = 0.03;   // of zeta: interpolation from so near is exact to 1e-6
constexpr double kPass = 5e-3;   // how far beyond the last distance to aim
constexpr double kNone = 1e-7;   // standard deviation, of sigma, that counts as zero
constexpr double kRough = 1e-5;  // decrement that passes where rounding stops the minimiser
constexpr double kLower = 1e-7;  // deviance by which a minimum is another one
constexpr double kLift = 0.3;    // of sigma, in scaled columns: well off the boundary
constexpr int kRepairs = 4;      // walks through all points
constexpr int kTries = 12;       // points a distance
constexpr int kFailures = 5;     // halvings of a step before a side is given up

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
            const double bend =
                (1 / a.rate - 1 / b.rate) / std::max(1e-3, std::fabs(a.zeta) - std::fabs(b.zeta));
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
    Node centre;
    centre.value = out.deviance_at_estimate = e.value;
    const std::unique_ptr<Family> family =
        make_family(plan, theta, target, 0.5 * std::log(e.scale), options.exact_tail);
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
