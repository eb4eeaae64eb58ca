// Sorted factorisation of text: codes and levels by one hash table and one sort of the levels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <nanobind/nanobind.h>

namespace pp {

// Levels in the order in which they first occur, found again by hash.
class TextTable {
   public:
    TextTable() : slots_(64, -1) {}

    // Code of a text, a new one if it has not occurred.
    std::int32_t code(std::string_view text);

    // Sorts the levels by their bytes, which for UTF-8 is the order of code points; returns the new
    // code of each old one.
    std::vector<std::int32_t> sort();

    const std::vector<std::string_view>& levels() const { return levels_; }

   private:
    void grow();

    std::vector<std::int32_t> slots_;  // open addressing; -1 is free; size a power of two
    std::vector<std::string_view> levels_;
    std::vector<std::uint64_t> hashes_;
};

void bind_factorize(nanobind::module_& m);

}  // namespace pp
