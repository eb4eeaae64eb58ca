// The Python face of the core. No numerics here: conversions, ownership, the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "factorize.hpp"
#include "lapack.hpp"
#include "plan.hpp"
#include "profile.hpp"
#include "refit.hpp"

namespace nb = nanobind;
using namespace pp;

namespace {

using DoubleIn = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using MatrixIn = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using CodesIn = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

nb::object to_array(Vector&& values, std::initializer_list<std::size_t> shape) {
    auto* owned = new Vector(std::move(values));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<Vector*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, double>(owned->data(), shape, owner));
}
// For what a frozen record holds.
nb::object to_frozen(Vector&& values) {
    auto* owned = new Vector(std::move(values));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<Vector*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, const double>(owned->data(), {owned->size()}, owner));
}
nb::object to_array(Vector&& values) {
    const std::size_t n = values.size();
    return to_array(std::move(values), {n});
}

Vector to_vector(const DoubleIn& x) {
    return Vector(x.data(), x.data() + x.size());
}

// Keeps the arrays alive that a C++ view points into: those of Python, or the copies that a cast
// has made of what is not contiguous or of another type. Every array of rows must have n values (n
// < 0: any number; `shortest` says how many rows all of them have).
class Keeper {
   public:
    Index shortest = std::numeric_limits<Index>::max();
    // Rows that will be read: codes beyond them are not looked at, so that reading block after
    // block costs n, not n a block.
    Index first = 0, last = std::numeric_limits<Index>::max();
    Lookup lookup(nb::handle codes_, nb::handle table_, Index n) {
        const auto c = nb::cast<CodesIn>(codes_);
        const auto t = nb::cast<DoubleIn>(table_);
        check(static_cast<Index>(c.size()), n);
        const auto size = static_cast<std::int32_t>(t.size());
        bool inside = true;
        const Index stop = std::min(last, static_cast<Index>(c.size()));
        for (Index i = first; i < stop; ++i) inside &= c.data()[i] < size;
        if (!inside) throw std::invalid_argument("a factor code without an entry in its table");
        kept_codes_.push_back(c);
        kept_.push_back(t);
        return {c.data(), t.data()};
    }
    const double* values(nb::handle h, Index n) {
        const auto x = nb::cast<DoubleIn>(h);
        check(static_cast<Index>(x.size()), n);
        kept_.push_back(x);
        return x.data();
    }
    const std::int32_t* codes(nb::handle h, Index n) {
        const auto x = nb::cast<CodesIn>(h);
        check(static_cast<Index>(x.size()), n);
        kept_codes_.push_back(x);
        return x.data();
    }
    Columns columns(nb::handle sequence, Index n) {
        Columns out;
        for (nb::handle item : nb::cast<nb::sequence>(sequence)) {
            const auto column = nb::cast<nb::tuple>(item);
            Column c;
            for (nb::handle x : nb::cast<nb::tuple>(column[1])) c.numeric.push_back(values(x, n));
            for (nb::handle l : nb::cast<nb::tuple>(column[2])) {
                const auto pair = nb::cast<nb::tuple>(l);
                c.lookups.push_back(lookup(pair[0], pair[1], n));
            }
            out.push_back(std::move(c));
        }
        return out;
    }

   private:
    void check(Index size, Index n) {
        if (n >= 0 && size != n) throw std::invalid_argument("a column of the wrong length");
        shortest = std::min(shortest, size);
    }
    std::vector<DoubleIn> kept_;
    std::vector<CodesIn> kept_codes_;
};

struct PyRows {
    RowSet rows;
    Keeper keeper;
};

void check_codes(const GroupRows& g, Index n) {
    for (Index i = 0; i < n; ++i)
        if (g.codes[i] < 0 || g.codes[i] >= g.levels)
            throw std::invalid_argument("a row without a level in a grouping factor");
}

PyRows* make_rows(Index n, nb::object y, nb::object weights, nb::object offset, nb::handle fixed,
                  nb::sequence groups) {
    auto out = std::make_unique<PyRows>();
    RowSet& r = out->rows;
    r.n = n;
    r.y = out->keeper.values(y, n);
    if (!weights.is_none()) r.weights = out->keeper.values(weights, n);
    if (!offset.is_none()) r.offset = out->keeper.values(offset, n);
    r.fixed = out->keeper.columns(fixed, n);
    for (nb::handle item : groups) {
        const auto g = nb::cast<nb::tuple>(item);
        GroupRows group;
        group.codes = out->keeper.codes(g[0], n);
        group.levels = nb::cast<Index>(g[1]);
        group.columns = out->keeper.columns(g[2], n);
        check_codes(group, n);
        r.groups.push_back(std::move(group));
    }
    return out.release();
}

using ProductsPtr = std::shared_ptr<const Products>;

struct PyProducts {
    ProductsPtr p;
};

nb::tuple products_state(const PyProducts& self) {
    const Products& P = *self.p;
    const auto copy = [](const Vector& v) { return to_array(Vector(v)); };
    nb::list groups, pairs, zs;
    for (const auto& g : P.groups)
        groups.append(nb::make_tuple(g.k, g.levels, copy(g.G), copy(g.C)));
    for (const auto& q : P.pairs)
        pairs.append(nb::make_tuple(q.a, q.b, q.start, q.level, copy(q.B)));
    const Transform& t = P.transform;
    for (std::size_t g = 0; g < t.zshift.size(); ++g)
        zs.append(nb::make_tuple(copy(t.zshift[g]), copy(t.zscale[g])));
    return nb::make_tuple(P.n, P.p, P.sum_log_weights, copy(P.D), groups, pairs,
                          nb::make_tuple(copy(t.xshift), copy(t.xscale), copy(t.mix),
                                         copy(t.delta0), t.constant, t.y0, zs, t.y_size));
}

PyProducts products_from(nb::tuple s) {
    auto P = std::make_shared<Products>();
    const auto vec = [](nb::handle h) { return to_vector(nb::cast<DoubleIn>(h)); };
    P->n = nb::cast<Index>(s[0]);
    P->p = nb::cast<Index>(s[1]);
    P->sum_log_weights = nb::cast<double>(s[2]);
    P->D = vec(s[3]);
    for (nb::handle h : nb::cast<nb::list>(s[4])) {
        const auto g = nb::cast<nb::tuple>(h);
        P->groups.push_back({nb::cast<Index>(g[0]), nb::cast<Index>(g[1]), vec(g[2]), vec(g[3])});
    }
    for (nb::handle h : nb::cast<nb::list>(s[5])) {
        const auto q = nb::cast<nb::tuple>(h);
        P->pairs.push_back({nb::cast<Index>(q[0]), nb::cast<Index>(q[1]),
                            nb::cast<std::vector<Index>>(q[2]),
                            nb::cast<std::vector<std::int32_t>>(q[3]), vec(q[4])});
    }
    const auto t = nb::cast<nb::tuple>(s[6]);
    Transform& T = P->transform;
    T.xshift = vec(t[0]);
    T.xscale = vec(t[1]);
    T.mix = vec(t[2]);
    T.delta0 = vec(t[3]);
    T.constant = nb::cast<std::vector<Index>>(t[4]);
    T.y0 = nb::cast<double>(t[5]);
    for (nb::handle h : nb::cast<nb::list>(t[6])) {
        const auto z = nb::cast<nb::tuple>(h);
        T.zshift.push_back(vec(z[0]));
        T.zscale.push_back(vec(z[1]));
    }
    T.y_size = nb::cast<double>(t[7]);
    return {P};
}

bool same_transform(const Products& a, const Products& b) {
    const Transform &x = a.transform, &y = b.transform;
    bool same = a.p == b.p && x.xshift == y.xshift && x.xscale == y.xscale && x.mix == y.mix &&
                x.delta0 == y.delta0 && x.y0 == y.y0 && x.zshift == y.zshift &&
                x.zscale == y.zscale && a.groups.size() == b.groups.size();
    for (std::size_t g = 0; same && g < a.groups.size(); ++g)
        same = a.groups[g].levels == b.groups[g].levels && a.groups[g].k == b.groups[g].k;
    return same;
}

// The moments of responses on one set of rows, filled once for all refits of a model and of its
// refits; whoever computes holds the lock.
struct SharedMoments {
    nb::object rows;
    std::shared_ptr<const Products> products;
    std::mutex mutex;
    ResponseMoments moments;
    SharedMoments(nb::object owner, const RowSet& view, std::shared_ptr<const Products> p)
        : rows(std::move(owner)), products(std::move(p)), moments(view, *products) {}
};

// A plan is a work space: calls from several threads take turns.
struct PyPlan {
    std::unique_ptr<Plan> plan;
    std::shared_ptr<const Products> products;
    std::shared_ptr<SharedMoments> moments;
    std::unique_ptr<std::mutex> mutex = std::make_unique<std::mutex>();
};

// Without the GIL, and alone with this plan.
class Alone {
   public:
    explicit Alone(PyPlan& plan) : lock_(*plan.mutex) {}

   private:
    nb::gil_scoped_release release_;
    std::lock_guard<std::mutex> lock_;
};

PyPlan* make_plan(const PyProducts& products,
                  std::vector<std::tuple<Index, Index, Index, bool>> terms, bool reml,
                  std::vector<std::vector<Index>> intercepts) {
    Layout layout;
    for (const auto& g : products.p->groups) layout.group_k.push_back(g.k);
    for (const auto& [group, offset, k, diagonal] : terms) {
        if (group < 0 || group >= Index(layout.group_k.size()) || offset < 0 || k < 1 ||
            offset + k > layout.group_k[group])
            throw std::invalid_argument("a term outside its group");
        Term t;
        t.group = group;
        t.offset = offset;
        t.k = k;
        t.diagonal = diagonal;
        t.theta = layout.size;
        layout.size += t.size();
        layout.terms.push_back(t);
    }
    auto out = std::make_unique<PyPlan>();
    out->products = products.p;
    out->plan = std::make_unique<Plan>(products.p, layout, reml, std::move(intercepts));
    return out.release();
}

void check_theta(const PyPlan& self, std::size_t size) {
    if (static_cast<Index>(size) != self.plan->layout().size)
        throw std::invalid_argument("theta of the wrong length");
}

Vector theta_of(const PyPlan& self, const DoubleIn& theta) {
    check_theta(self, theta.size());
    return to_vector(theta);
}

// Are these the rows, or the like of them, that the plan's products are of?
void check_rows(const PyPlan& self, const RowSet& rows) {
    const Products& P = *self.products;
    bool same = rows.n == P.n && static_cast<Index>(rows.fixed.size()) == P.p &&
                rows.groups.size() == P.groups.size();
    for (std::size_t g = 0; same && g < P.groups.size(); ++g)
        same = rows.groups[g].levels == P.groups[g].levels &&
               static_cast<Index>(rows.groups[g].columns.size()) == P.groups[g].k;
    if (!same) throw std::invalid_argument("rows of another design");
}

nb::tuple evaluate(PyPlan& self, DoubleIn theta, int order) {
    const Vector x = theta_of(self, theta);
    Evaluation e;
    {
        Alone alone(self);
        e = self.plan->evaluate(x, order);
    }
    const std::size_t K = x.size();
    if (e.status != Status::ok) {
        e.gradient.assign(order >= kGradient ? K : 0, NAN);
        e.hessian.assign(order >= kAverage ? K * K : 0, NAN);
    }
    return nb::make_tuple(static_cast<int>(e.status), e.value,
                          order >= kGradient ? to_array(std::move(e.gradient)) : nb::none(),
                          order >= kAverage ? to_array(std::move(e.hessian), {K, K}) : nb::none());
}

nb::list to_groups(std::vector<Vector>&& values, const PyPlan& self) {
    nb::list out;
    for (std::size_t g = 0; g < values.size(); ++g) {
        const std::size_t k = static_cast<std::size_t>(self.plan->layout().group_k[g]);
        const std::size_t levels = values[g].size() / k;
        out.append(to_array(std::move(values[g]), {levels, k}));
    }
    return out;
}

nb::object solve_at(PyPlan& self, const Vector& x) {
    Solution s;
    {
        Alone alone(self);
        s = self.plan->solve(x);
    }
    if (!s.ok) return nb::none();
    const std::size_t p = s.beta.size();
    return nb::make_tuple(to_array(std::move(s.beta)),
                          to_array(std::move(s.information_inverse), {p, p}), s.scale, s.value,
                          s.logdet_L, s.logdet_RX, s.rss, s.ussq, to_groups(std::move(s.b), self),
                          to_groups(std::move(s.u), self));
}

NewtonOptions newton_options(Plan& plan, double tolerance, Index max_evaluations) {
    NewtonOptions options;
    options.tolerance = tolerance;
    options.max_evaluations = max_evaluations;
    // One more step costs microseconds on a small model, a tenth of the fit on a large one.
    options.polish = options.other_starts = plan.is_small();
    options.exact_tail = plan.exact_is_cheap();
    return options;
}

nb::tuple minimum_tuple(Minimum&& m, Vector&& theta) {
    nb::list log;
    for (const LogEntry& l : m.log)
        log.append(nb::make_tuple(l.evaluation, l.value, l.decrement, l.radius, l.accepted));
    return nb::make_tuple(static_cast<int>(m.outcome), to_frozen(std::move(theta)),
                          to_frozen(std::move(m.theta)), m.value, m.decrement, m.gradient_norm,
                          m.min_eigenvalue, m.kkt, m.rank, m.evaluations, log);
}

nb::object solve(PyPlan& self, DoubleIn theta) {
    return solve_at(self, theta_of(self, theta));
}

nb::tuple minimise(PyPlan& self, std::optional<std::vector<double>> start, double tolerance,
                   Index max_evaluations) {
    if (start) check_theta(self, start->size());
    Minimum m;
    Vector theta;
    {
        Alone alone(self);
        const NewtonOptions options = newton_options(*self.plan, tolerance, max_evaluations);
        m = self.plan->minimise(start ? &*start : nullptr, options);
        theta = self.plan->to_user(m.theta);
    }
    return minimum_tuple(std::move(m), std::move(theta));
}

// Another response: its products, its plan, where the optimiser ended, and the solution there.
nb::tuple refit(PyPlan& self, nb::object rows_object, DoubleIn y, std::vector<double> start,
                double tolerance, Index max_evaluations) {
    const PyRows& rows = nb::cast<PyRows&>(rows_object);
    if (static_cast<Index>(y.size()) != rows.rows.n)
        throw std::invalid_argument("a response of the wrong length");
    check_theta(self, start.size());
    check_rows(self, rows.rows);
    if (!self.moments || !self.moments->rows.is(rows_object))
        self.moments = std::make_shared<SharedMoments>(rows_object, rows.rows, self.products);
    auto plan = std::make_unique<PyPlan>();
    plan->moments = self.moments;
    PyProducts products;
    Minimum m;
    Vector theta;
    {
        Alone alone(self);
        double rss = 0;
        {
            std::lock_guard<std::mutex> lock(plan->moments->mutex);
            ResponseMoments& moments = plan->moments->moments;
            moments.compute(y.data());
            products.p = std::make_shared<Products>(moments.replaced(y.data()));
            rss = moments.rss();
        }
        plan->products = products.p;
        plan->plan = std::make_unique<Plan>(*self.plan, products.p);
        if (std::sqrt(rss / double(rows.rows.n)) > 1e-15 * products.p->transform.y_size) {
            const NewtonOptions options = newton_options(*plan->plan, tolerance, max_evaluations);
            m = plan->plan->reminimise(start, options);
            theta = plan->plan->to_user(m.theta);
        }
    }
    const bool solved =
        !theta.empty() && m.outcome != Outcome::failed && m.outcome != Outcome::unbounded;
    nb::object at =
        theta.empty() ? nb::none() : nb::object(minimum_tuple(std::move(m), Vector(theta)));
    nb::object solution = solved ? solve_at(*plan, theta) : nb::none();
    return nb::make_tuple(products, nb::cast(plan.release(), nb::rv_policy::take_ownership), at,
                          solution);
}

nb::object derivatives(PyPlan& self, DoubleIn theta) {
    const Vector x = theta_of(self, theta);
    Derivatives d;
    {
        Alone alone(self);
        d = self.plan->derivatives(x);
    }
    if (!d.ok) return nb::none();
    const std::size_t K = d.slope.size(), p = static_cast<std::size_t>(self.products->p);
    return nb::make_tuple(d.scale, to_array(std::move(d.covariance), {K, p, p}),
                          to_array(std::move(d.slope)), to_array(std::move(d.hessian), {K, K}),
                          d.term, d.rank);
}

nb::object kenward_roger(PyPlan& self, DoubleIn theta) {
    const Vector x = theta_of(self, theta);
    KenwardRogerParts k;
    {
        Alone alone(self);
        k = self.plan->kenward_roger(x);
    }
    if (!k.ok) return nb::none();
    const std::size_t M = k.psi.size(), p = static_cast<std::size_t>(self.products->p);
    return nb::make_tuple(k.scale, to_array(std::move(k.basis), {p, p}),
                          to_array(std::move(k.information_inverse), {p, p}),
                          to_array(std::move(k.psi)), to_array(std::move(k.B), {M, p, p}),
                          to_array(std::move(k.Q), {M, p, M, p}), to_array(std::move(k.t1)),
                          to_array(std::move(k.t2), {M, M}), k.term);
}

nb::tuple refits_tuple(RefitResult&& r, std::size_t responses, std::size_t K, Index columns) {
    const auto p = static_cast<std::size_t>(columns);
    return nb::make_tuple(to_array(std::move(r.theta), {responses, K}),
                          to_array(std::move(r.beta), {responses, p}), to_array(std::move(r.sigma)),
                          to_array(std::move(r.value)), to_array(std::move(r.converged)));
}

nb::tuple refit_moments_of(PyPlan& self, MatrixIn Zy, MatrixIn Xy, DoubleIn yy,
                           std::vector<double> start, double tolerance, Index max_evaluations) {
    const Products& P = *self.products;
    if (P.groups.size() != 1) throw std::invalid_argument("moments of one grouping factor");
    const std::size_t q = static_cast<std::size_t>(P.groups[0].levels * P.groups[0].k);
    const std::size_t responses = yy.size();
    if (Zy.shape(0) != responses || Xy.shape(0) != responses || Zy.shape(1) != q ||
        Xy.shape(1) != static_cast<std::size_t>(P.p))
        throw std::invalid_argument("moments of the wrong size");
    check_theta(self, start.size());
    NewtonOptions options;
    options.tolerance = tolerance;
    options.max_evaluations = max_evaluations;
    options.report = false;
    RefitResult r;
    {
        Alone alone(self);
        r = refit_moments(*self.plan, Zy.data(), Xy.data(), yy.data(), Index(responses), start,
                          options);
    }
    return refits_tuple(std::move(r), responses, start.size(), P.p);
}

nb::dict profile_of(PyPlan& self, DoubleIn scaled, int kind, Index term, Index i, Index j,
                    std::vector<double> distances, double tolerance, Index max_evaluations) {
    const Vector theta = theta_of(self, scaled);
    const std::vector<Term>& terms = self.plan->layout().terms;
    const auto has = [](Index at, Index size) { return at >= 0 && at < size; };
    const auto target = static_cast<Parameter>(kind);
    bool known = kind >= 0 && kind <= 3;
    if (target == Parameter::coefficient) {
        known = has(i, self.products->p);
    } else if (known && target != Parameter::sigma) {
        known = has(term, Index(terms.size())) && has(i, terms[term].k);
        if (target == Parameter::correlation)
            known = known && has(j, terms[term].k) && i != j && !terms[term].diagonal;
    }
    if (!known || self.plan->criterion().reml)
        throw std::invalid_argument("no parameter of a fit by maximum likelihood");
    ProfilePath path;
    {
        Alone alone(self);
        const NewtonOptions options = newton_options(*self.plan, tolerance, max_evaluations);
        path = profile(*self.plan, theta, {target, term, i, j}, distances, options);
    }
    const std::size_t points = path.u.size(), size = points ? path.parameters.size() / points : 0;
    nb::dict out;
    out["u"] = to_array(std::move(path.u));
    out["deviance"] = to_array(std::move(path.deviance));
    out["slope"] = to_array(std::move(path.slope));
    out["parameters"] = to_array(std::move(path.parameters), {points, size});
    out["failed"] = to_array(std::move(path.failed));
    out["ends"] = nb::make_tuple(static_cast<int>(path.lower), static_cast<int>(path.upper));
    out["estimate"] = path.estimate;
    out["minimum"] = path.deviance_at_estimate;
    out["rate"] = path.rate;
    out["undefined"] = path.undefined;
    out["evaluations"] = path.evaluations;
    return out;
}

nb::object row_variances(PyPlan& self, DoubleIn theta, std::vector<bool> include, nb::list levels,
                         nb::list z, MatrixIn x) {
    const Vector at = theta_of(self, theta);
    const Products& P = *self.products;
    const Index rows = static_cast<Index>(x.shape(0));
    const std::size_t groups = P.groups.size();
    if (include.size() != groups || levels.size() != groups || z.size() != groups ||
        static_cast<Index>(x.shape(1)) != P.p)
        throw std::invalid_argument("rows of another design");
    std::vector<CodesIn> kept;
    std::vector<const std::int32_t*> codes;
    std::vector<Vector> columns;
    for (std::size_t g = 0; g < groups; ++g) {
        const auto c = nb::cast<CodesIn>(levels[g]);
        const auto v = nb::cast<MatrixIn>(z[g]);
        if (static_cast<Index>(c.size()) != rows || static_cast<Index>(v.shape(0)) != rows ||
            static_cast<Index>(v.shape(1)) != P.groups[g].k)
            throw std::invalid_argument("rows of different lengths");
        for (Index i = 0; i < rows; ++i)
            if (c.data()[i] >= P.groups[g].levels)
                throw std::invalid_argument("a level that the fit has not");
        kept.push_back(c);
        codes.push_back(c.data());
        columns.emplace_back(v.data(), v.data() + v.size());
    }
    Vector out;
    {
        Alone alone(self);
        out = self.plan->row_variances(at, rows, include, codes, columns, x.data());
    }
    return to_array(std::move(out));
}

int scan(DoubleIn x) {
    bool missing = false;
    const double* v = x.data();
    for (std::size_t start = 0; start < x.size(); start += 4096) {
        const std::size_t stop = std::min(x.size(), start + 4096);
        double s[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        std::size_t i = start;
        for (; i + 8 <= stop; i += 8)
            for (int l = 0; l < 8; ++l) s[l] += v[i + l] * 0.0;
        for (; i < stop; ++i) s[0] += v[i] * 0.0;
        if (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])) == 0.0) continue;
        for (i = start; i < stop; ++i) {
            if (std::isinf(v[i])) return 2;
            if (std::isnan(v[i])) missing = true;
        }
    }
    return missing ? 1 : 0;
}

nb::object fill(nb::sequence columns, Index start, Index stop) {
    Keeper keeper;
    keeper.first = std::max<Index>(start, 0);
    keeper.last = stop;
    const Columns c = keeper.columns(columns, -1);
    if (start < 0 || stop < start || (stop > keeper.shortest && !c.empty()))
        throw std::invalid_argument("rows outside the columns");
    const Index p = static_cast<Index>(c.size());
    Vector out((stop - start) * p);
    for (Index k = 0; k < p; ++k) c[k].fill(start, stop, out.data() + k, p);
    return to_array(std::move(out),
                    {static_cast<std::size_t>(stop - start), static_cast<std::size_t>(p)});
}

nb::object linear(nb::sequence columns, DoubleIn beta, Index n) {
    Keeper keeper;
    const Columns c = keeper.columns(columns, n);
    if (c.size() != beta.size()) throw std::invalid_argument("one coefficient a column");
    Vector out(n, 0.0), x(std::min(n, kBlockRows));
    for (Index start = 0; start < n; start += kBlockRows) {
        const Index stop = std::min(n, start + kBlockRows);
        for (std::size_t k = 0; k < c.size(); ++k) {
            c[k].fill(start, stop, x.data());
            axpy(beta.data()[k], x.data(), ptr(out, start), stop - start);
        }
    }
    return to_array(std::move(out));
}

nb::object random_effects(nb::sequence columns, CodesIn codes, MatrixIn b, Index n) {
    Keeper keeper;
    const Columns c = keeper.columns(columns, n);
    const Index k = static_cast<Index>(c.size()), levels = static_cast<Index>(b.shape(0));
    if (static_cast<Index>(b.shape(1)) != k || static_cast<Index>(codes.size()) != n)
        throw std::invalid_argument("effects, columns and codes of different sizes");
    Vector out(n, 0.0), x(std::min(n, kBlockRows));
    for (Index start = 0; start < n; start += kBlockRows) {
        const Index stop = std::min(n, start + kBlockRows);
        for (Index a = 0; a < k; ++a) {
            c[a].fill(start, stop, x.data());
            for (Index i = start; i < stop; ++i) {
                const std::int32_t j = codes.data()[i];
                if (j >= 0 && j < levels) out[i] += x[i - start] * b.data()[j * k + a];
            }
        }
    }
    return to_array(std::move(out));
}

void set_lapack(nb::dict capsules) {
    const auto pointer = [&](const char* name) {
        const nb::object c = capsules[name];
        return PyCapsule_GetPointer(c.ptr(), PyCapsule_GetName(c.ptr()));
    };
    Lapack& l = lapack();
    l.potrf = reinterpret_cast<Lapack::Potrf>(pointer("dpotrf"));
    l.potri = reinterpret_cast<Lapack::Potri>(pointer("dpotri"));
    l.syrk = reinterpret_cast<Lapack::Syrk>(pointer("dsyrk"));
    l.trsm = reinterpret_cast<Lapack::Trsm>(pointer("dtrsm"));
    l.gemm = reinterpret_cast<Lapack::Gemm>(pointer("dgemm"));
}

std::string capsule_name(nb::object capsule) {
    const char* name = PyCapsule_GetName(capsule.ptr());
    if (!name) throw nb::python_error();
    return name;
}

}  // namespace

NB_MODULE(_core, m) {
    nb::set_leak_warnings(false);  // models alive when the interpreter ends are no fault of anyone
    m.attr("VALUE") = kValue;
    m.attr("SOLUTION") = kSolution;
    m.attr("GRADIENT") = kGradient;
    m.attr("AVERAGE") = kAverage;
    m.attr("EXACT") = kExact;

    nb::class_<PyRows>(m, "RowSet")
        .def(
            "__init__",
            [](PyRows* self, Index n, nb::object y, nb::object w, nb::object o, nb::object fixed,
               nb::sequence groups) {
                std::unique_ptr<PyRows> made(make_rows(n, y, w, o, fixed, groups));
                new (self) PyRows(std::move(*made));
            },
            nb::arg("n"), nb::arg("y"), nb::arg("weights").none(), nb::arg("offset").none(),
            nb::arg("fixed"), nb::arg("groups"));

    nb::class_<PyProducts>(m, "Products")
        .def("__getstate__", &products_state)
        .def("__setstate__",
             [](PyProducts& self, nb::tuple s) { new (&self) PyProducts(products_from(s)); })
        .def("__add__",
             [](const PyProducts& a, const PyProducts& b) {
                 if (!same_transform(*a.p, *b.p))
                     throw std::invalid_argument("products of different columns or levels");
                 return PyProducts{std::make_shared<Products>(merge(*a.p, *b.p))};
             })
        .def("state", &products_state)
        .def_prop_ro("n", [](const PyProducts& s) { return s.p->n; })
        .def_prop_ro("p", [](const PyProducts& s) { return s.p->p; })
        .def("dense_columns", [](const PyProducts& s) { return BlockEngine::dense_columns(*s.p); })
        .def("smallest_pivot", [](const PyProducts& s) { return smallest_pivot(*s.p); })
        .def("fixed_transform",
             [](const PyProducts& s) {
                 return nb::make_tuple(to_array(Vector(s.p->transform.xshift)),
                                       to_array(Vector(s.p->transform.xscale)));
             })
        .def_prop_ro("response_size", [](const PyProducts& s) { return s.p->transform.y_size; })
        .def_prop_ro("rss0", [](const PyProducts& s) { return s.p->D.back(); });

    m.def(
        "accumulate",
        [](const PyRows& rows, std::vector<Index> constant,
           std::vector<std::vector<bool>> shiftable, std::optional<std::vector<double>> mix) {
            nb::gil_scoped_release release;
            Transform t = choose_transform(rows.rows, constant, shiftable);
            if (mix) t.mix = *mix;
            choose_pilot(rows.rows, t);
            return PyProducts{std::make_shared<Products>(accumulate(rows.rows, t))};
        },
        nb::arg("rows"), nb::arg("constant"), nb::arg("shiftable"),
        nb::arg("mix").none() = nb::none());
    m.def("accumulate_like", [](const PyRows& rows, const PyProducts& like) {
        nb::gil_scoped_release release;
        return PyProducts{std::make_shared<Products>(accumulate(rows.rows, like.p->transform))};
    });
    nb::class_<PyPlan>(m, "Plan")
        .def("__init__",
             [](PyPlan* self, const PyProducts& products,
                std::vector<std::tuple<Index, Index, Index, bool>> terms, bool reml,
                std::vector<std::vector<Index>> intercepts) {
                 std::unique_ptr<PyPlan> made(make_plan(products, terms, reml, intercepts));
                 new (self) PyPlan(std::move(*made));
             })
        .def("evaluate", &evaluate)
        .def("solve", &solve)
        .def("minimise", &minimise, nb::arg("start").none(), nb::arg("tolerance"),
             nb::arg("max_evaluations"))
        .def("set_anchor",
             [](PyPlan& self, DoubleIn user, DoubleIn scaled) {
                 Vector u = theta_of(self, user), s = theta_of(self, scaled);
                 Alone alone(self);
                 self.plan->set_anchor(std::move(u), std::move(s));
             })
        .def("start",
             [](PyPlan& self) {
                 Vector theta;
                 {
                     Alone alone(self);
                     theta = self.plan->start();
                 }
                 return to_array(std::move(theta));
             })
        .def("conditional_covariances",
             [](PyPlan& self, DoubleIn theta) {
                 nb::list out;
                 const Vector at = theta_of(self, theta);
                 std::vector<Vector> values;
                 {
                     Alone alone(self);
                     values = self.plan->conditional_covariances(at);
                 }
                 for (std::size_t g = 0; g < values.size(); ++g) {
                     const auto k = static_cast<std::size_t>(self.plan->layout().group_k[g]);
                     const std::size_t levels = values[g].size() / (k * k);
                     out.append(to_array(std::move(values[g]), {levels, k, k}));
                 }
                 return out;
             })
        .def("row_variances", &row_variances)
        .def("derivatives", &derivatives)
        .def("kenward_roger", &kenward_roger)
        .def("exact_cost",
             [](PyPlan& self) {
                 const auto c = self.plan->exact_cost();
                 return nb::make_tuple(c[0], c[1], c[2]);
             })
        .def("profile", &profile_of)
        .def("refit", &refit)
        .def("refit_many",
             [](PyPlan& self, const PyRows& rows, MatrixIn Y, std::vector<double> start,
                double tolerance, Index max_evaluations) {
                 if (static_cast<Index>(Y.shape(1)) != rows.rows.n)
                     throw std::invalid_argument("responses of the wrong length");
                 check_theta(self, start.size());
                 check_rows(self, rows.rows);
                 NewtonOptions options;
                 options.tolerance = tolerance;
                 options.max_evaluations = max_evaluations;
                 options.report = false;
                 RefitResult r;
                 {
                     Alone alone(self);
                     r = refit_many(*self.plan, rows.rows, Y.data(), Index(Y.shape(0)), start,
                                    options);
                 }
                 return refits_tuple(std::move(r), Y.shape(0), start.size(), self.products->p);
             })
        .def("refit_moments", &refit_moments_of)
        .def("transform",
             [](PyPlan& self) {
                 const Transform& t = self.products->transform;
                 nb::list z;
                 for (std::size_t g = 0; g < t.zshift.size(); ++g)
                     z.append(nb::make_tuple(to_array(Vector(t.zshift[g])),
                                             to_array(Vector(t.zscale[g]))));
                 return nb::make_tuple(to_array(Vector(t.xshift)), to_array(Vector(t.xscale)),
                                       to_array(Vector(t.mix)), z);
             })
        .def("dense_size", [](PyPlan& self) {
            Alone alone(self);  // it may make the engine
            return self.plan->dense_columns();
        });

    bind_factorize(m);
    m.def("scan", &scan);
    m.def("fill", &fill);
    m.def("linear", &linear);
    m.def("random", &random_effects);
    m.def("set_lapack", &set_lapack);
    m.def("capsule_name", &capsule_name);
}
