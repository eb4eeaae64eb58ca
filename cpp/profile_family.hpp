// The criterion with one parameter held, for every kind of parameter.
#pragma once

#include <utility>

#include "profile.hpp"

namespace pp {

// One point of a profile.
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

    // The parameters at the last evaluation of a chart, from the coefficients of the scaled
    // columns.
    void fill(const Chart& chart, const Vector& beta, Node& node) const;

   protected:
    Plan& plan_;
    Vector A_, pilot_;
};

std::unique_ptr<Family> make_family(Plan& plan, const Vector& theta, const Target& target,
                                    double log_sigma, bool exact);

}  // namespace pp
