#include "factorize.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <stdexcept>

#include <nanobind/ndarray.h>

namespace nb = nanobind;

namespace pp {

namespace {

constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15ull;  // 2^64 / golden ratio: odd, bits spread

std::uint64_t hash(std::string_view text) {
    std::uint64_t h = text.size() * kMix;
    const char* p = text.data();
    std::size_t left = text.size();
    for (; left >= 8; left -= 8, p += 8) {
        std::uint64_t word;
        std::memcpy(&word, p, 8);
        h = (h ^ word) * kMix;
        h ^= h >> 29;
    }
    std::uint64_t word = 0;
    if (left) std::memcpy(&word, p, left);
    h = (h ^ word) * kMix;
    return h ^ (h >> 32);
}

// A read-only view of a Python buffer, released at the end.
class Bytes {
   public:
    explicit Bytes(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    ~Bytes() { PyBuffer_Release(&view_); }
    const char* data() const { return static_cast<const char*>(view_.buf); }
    std::size_t size() const { return static_cast<std::size_t>(view_.len); }

   private:
    Py_buffer view_;
};

nb::object to_array(std::vector<std::int32_t>&& codes) {
    auto* owned = new std::vector<std::int32_t>(std::move(codes));
    nb::capsule owner(owned,
                      [](void* p) noexcept { delete static_cast<std::vector<std::int32_t>*>(p); });
    const std::size_t shape[1] = {owned->size()};
    return nb::cast(nb::ndarray<nb::numpy, std::int32_t>(owned->data(), 1, shape, owner));
}

// (codes, levels, whether a code is -1), the codes replaced by those of the sorted levels.
nb::tuple finish(TextTable& table, std::vector<std::int32_t>&& codes) {
    const std::vector<std::int32_t> rank = table.sort();
    bool missing = false;
    for (std::int32_t& code : codes) {
        if (code < 0)
            missing = true;
        else
            code = rank[static_cast<std::size_t>(code)];
    }
    nb::list levels;
    for (std::string_view level : table.levels())
        levels.append(nb::str(level.data(), level.size()));
    return nb::make_tuple(to_array(std::move(codes)), levels, missing);
}

template <class Offset>
void read_arrow(const Bytes& offsets, const Bytes* data, const Bytes* validity, std::size_t start,
                TextTable& table, std::vector<std::int32_t>& codes) {
    const std::size_t n = codes.size();
    if (offsets.size() / sizeof(Offset) < start + n + 1)
        throw std::invalid_argument("text column: too few offsets");
    if (validity && validity->size() * 8 < start + n)
        throw std::invalid_argument("text column: too few validity bits");
    const std::size_t limit = data ? data->size() : 0;
    const char* text = data ? data->data() : "";
    const char* at = offsets.data() + start * sizeof(Offset);
    for (std::size_t i = 0; i < n; ++i, at += sizeof(Offset)) {
        const std::size_t bit = start + i;
        if (validity && !((validity->data()[bit >> 3] >> (bit & 7)) & 1)) {
            codes[i] = -1;
            continue;
        }
        Offset begin, end;
        std::memcpy(&begin, at, sizeof(Offset));
        std::memcpy(&end, at + sizeof(Offset), sizeof(Offset));
        if (begin < 0 || end < begin || static_cast<std::uint64_t>(end) > limit)
            throw std::invalid_argument("text column: offsets out of order");
        codes[i] = table.code({text + begin, static_cast<std::size_t>(end - begin)});
    }
}

// Arrow's text layout: value i is data[offsets[i] : offsets[i + 1]], bit i of validity says if it
// is there. `wide`: offsets of 64 bits, else of 32. Arrays may start inside their buffers.
nb::tuple factorize_arrow(nb::handle validity, nb::handle offsets, nb::handle data,
                          std::size_t start, std::size_t n, bool wide) {
    std::vector<std::int32_t> codes(n);
    TextTable table;
    if (!n) return finish(table, std::move(codes));
    const Bytes places(offsets);
    std::optional<Bytes> bits, text;
    if (!validity.is_none()) bits.emplace(validity);
    if (!data.is_none()) text.emplace(data);
    const Bytes* text_view = text ? &*text : nullptr;
    const Bytes* bits_view = bits ? &*bits : nullptr;
    if (wide)
        read_arrow<std::int64_t>(places, text_view, bits_view, start, table, codes);
    else
        read_arrow<std::int32_t>(places, text_view, bits_view, start, table, codes);
    return finish(table, std::move(codes));  // while the buffers, which the levels view, are held
}

// A list of str and None; None for anything else (and for lone surrogates, which have no UTF-8).
nb::object factorize_list(nb::list values) {
    const std::size_t n = nb::len(values);
    std::vector<std::int32_t> codes(n);
    TextTable table;
    for (std::size_t i = 0; i < n; ++i) {
        PyObject* value = PyList_GET_ITEM(values.ptr(), static_cast<Py_ssize_t>(i));
        if (value == Py_None) {
            codes[i] = -1;
            continue;
        }
        if (!PyUnicode_CheckExact(value)) return nb::none();
        Py_ssize_t size = 0;
        const char* text = PyUnicode_AsUTF8AndSize(value, &size);
        if (!text) {
            PyErr_Clear();
            return nb::none();
        }
        codes[i] = table.code({text, static_cast<std::size_t>(size)});
    }
    return finish(table, std::move(codes));
}

}  // namespace

std::int32_t TextTable::code(std::string_view text) {
    const std::uint64_t h = hash(text);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = h & mask;; slot = (slot + 1) & mask) {
        const std::int32_t found = slots_[slot];
        if (found < 0) {
            const auto fresh = static_cast<std::int32_t>(levels_.size());
            slots_[slot] = fresh;
            levels_.push_back(text);
            hashes_.push_back(h);
            if (2 * levels_.size() > slots_.size()) grow();
            return fresh;
        }
        const auto at = static_cast<std::size_t>(found);
        if (hashes_[at] == h && levels_[at] == text) return found;
    }
}

void TextTable::grow() {
    slots_.assign(4 * slots_.size(), -1);
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < hashes_.size(); ++i) {
        std::size_t slot = hashes_[i] & mask;
        while (slots_[slot] >= 0) slot = (slot + 1) & mask;
        slots_[slot] = static_cast<std::int32_t>(i);
    }
}

std::vector<std::int32_t> TextTable::sort() {
    std::vector<std::int32_t> order(levels_.size()), rank(levels_.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [this](std::int32_t a, std::int32_t b) {
        return levels_[static_cast<std::size_t>(a)] < levels_[static_cast<std::size_t>(b)];
    });
    std::vector<std::string_view> sorted;
    sorted.reserve(levels_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto old = static_cast<std::size_t>(order[i]);
        rank[old] = static_cast<std::int32_t>(i);
        sorted.push_back(levels_[old]);
    }
    levels_ = std::move(sorted);
    return rank;
}

void bind_factorize(nb::module_& m) {
    m.def("factorize_arrow", &factorize_arrow, nb::arg("validity").none(), nb::arg("offsets"),
          nb::arg("data").none(), nb::arg("start"), nb::arg("n"), nb::arg("wide"));
    m.def("factorize_list", &factorize_list, nb::arg("values"));
}

}  // namespace pp
