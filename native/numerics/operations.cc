#include "operations.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "job.hpp"
#include "sha256.hpp"

namespace torchbed {
namespace {

constexpr std::size_t kLeaf = std::size_t{1} << 20;
constexpr std::size_t kNormPiece = kStripe * kChains;

static_assert(kStripe % kTile == 0 && kTile % kSignBlock == 0 && kTile % kIntegerBlock == 0);

Napi::Value fault_value(Napi::Env env, const PayloadFault& fault) {
  const Napi::Array result = Napi::Array::New(env, 3);
  result.Set(0U, Napi::Number::New(env, static_cast<double>(fault.fault.kind)));
  result.Set(1U, Napi::Number::New(env, static_cast<double>(fault.payload)));
  result.Set(2U, Napi::Number::New(env, static_cast<double>(fault.fault.index)));
  return result;
}

Napi::Value fault_or_null(Napi::Env env, const Job& job) {
  return job.has_failed() ? fault_value(env, job.fault()) : env.Null();
}

Fault moved(Fault fault, std::size_t at) { return {fault.kind, fault.index + at}; }

Fault decode_tile(const Payload& from, std::size_t at, std::size_t n, float* out) {
  return moved(kernels().decode(from.codec, from.scales(at), from.codes(at), n, out), at);
}

/// Calls `tile(at, n)` for each tile of each stripe; what is a fault ends the job.
template <typename Tile>
void for_each_tile(Job& job, std::size_t n, Tile&& tile) {
  std::size_t stripe = 0;
  while (job.claim(stripe)) {
    const std::size_t end = std::min(n, (stripe + 1) * kStripe);
    for (std::size_t at = stripe * kStripe; at < end; at += kTile) {
      const PayloadFault fault = tile(at, std::min(kTile, end - at));
      if (!fault.fault) continue;
      job.fail(stripe, fault);
      return;
    }
  }
}

/// A job over the stripes of n values. `work` is called once a thread.
Napi::Promise over_stripes(Napi::Env env, std::size_t n, const Values& lent, Work work) {
  return start(env, divided_up(n, kStripe), lent, std::move(work), fault_or_null);
}

PayloadFault encode_tile(const float* x, const Payload& to, std::size_t at, std::size_t n) {
  const std::size_t unfit = kernels().encode(to.codec, x, n, to.scales(at), to.codes(at));
  if (unfit == kFits) return {};
  return {0, {FaultKind::kValue, at + unfit}};
}

/// The mean of one tile, with what it needs for that.
class TileMean {
 public:
  TileMean(const std::vector<Payload>& from, const Means& means)
      : from_(from),
        means_(means),
        sum_(kTile),
        decoded_(kTile * (means.kind == Aggregate::kMean ? 1 : from.size())) {
    for (std::size_t i = 0; i * kTile < decoded_.size(); i++) {
      rows_.push_back(decoded_.data() + i * kTile);
    }
  }

  PayloadFault operator()(std::size_t at, std::size_t n, float* out) {
    return means_.kind == Aggregate::kMean ? mean(at, n, out) : of_sorted(at, n, out);
  }

 private:
  PayloadFault mean(std::size_t at, std::size_t n, float* out) {
    std::fill_n(sum_.begin(), n, 0.0);
    for (std::size_t i = 0; i < from_.size(); i++) {
      if (const Fault fault = decode_tile(from_[i], at, n, decoded_.data())) return {i, fault};
      kernels().add_share(sum_.data(), decoded_.data(), means_.shares[i], n);
    }
    kernels().narrow(sum_.data(), out, n);
    return {};
  }

  PayloadFault of_sorted(std::size_t at, std::size_t n, float* out) {
    const std::size_t count = from_.size();
    for (std::size_t i = 0; i < count; i++) {
      if (const Fault fault = decode_tile(from_[i], at, n, rows_[i])) return {i, fault};
    }
    kernels().sort_columns(rows_.data(), count, n);
    // The median is the mean of what is in the middle: one, or two.
    const std::size_t trim = means_.kind == Aggregate::kMedian ? (count - 1) / 2 : means_.trim;
    kernels().mean_of_rows(rows_.data(), trim, count - trim, sum_.data(), out, n);
    return {};
  }

  const std::vector<Payload>& from_;
  const Means& means_;
  std::vector<double> sum_;
  std::vector<float> decoded_;
  std::vector<float*> rows_;
};

template <typename T>
T* moved_by(T* pointer, std::size_t n) {
  return pointer == nullptr ? nullptr : pointer + n;
}

PayloadFault step_tile(const OuterStep& step, const OuterTile& state, const float* g,
                       const NewOuterTile& to, std::size_t at, std::size_t n) {
  const OuterTile tile = {state.theta + at, moved_by(state.m, at), moved_by(state.v, at)};
  const NewOuterTile target = {moved_by(to.theta, at), moved_by(to.m, at), moved_by(to.v, at)};
  if (kernels().step(step, tile, g, target, n)) return {};
  return {0, {FaultKind::kOverflow, at}};
}

double sum_of(const double* partial, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; i++) sum += partial[i];
  return sum;
}

}  // namespace

Napi::Value encode(Napi::Env env, const Values& lent, const float* x, const Payload& to) {
  return over_stripes(env, to.n, lent, [x, to](Job& job) {
    for_each_tile(job, to.n,
                  [&](std::size_t at, std::size_t n) { return encode_tile(x + at, to, at, n); });
  });
}

Napi::Value contribute(Napi::Env env, const Values& lent, const float* base, const float* local,
                       const float* error, float beta, float* total, const Payload& to) {
  return over_stripes(env, to.n, lent, [base, local, error, beta, total, to](Job& job) {
    for_each_tile(job, to.n, [&](std::size_t at, std::size_t n) {
      kernels().total(base + at, local + at, moved_by(error, at), beta, total + at, n);
      return encode_tile(total + at, to, at, n);
    });
  });
}

Napi::Value decode(Napi::Env env, const Values& lent, const Payload& from, float* to) {
  return over_stripes(env, from.n, lent, [from, to](Job& job) {
    for_each_tile(job, from.n, [&](std::size_t at, std::size_t n) {
      return PayloadFault{0, decode_tile(from, at, n, to + at)};
    });
  });
}

Napi::Value remainder(Napi::Env env, const Values& lent, const float* total, const Payload& from,
                      float* out) {
  return over_stripes(env, from.n, lent, [total, from, out](Job& job) {
    std::vector<float> decoded(kTile);
    for_each_tile(job, from.n, [&](std::size_t at, std::size_t n) {
      const Fault fault = decode_tile(from, at, n, decoded.data());
      if (!fault) kernels().subtract(total + at, decoded.data(), out + at, n);
      return PayloadFault{0, fault};
    });
  });
}

Napi::Value norm(Napi::Env env, const Values& lent, const Payload& from) {
  auto partial = std::make_shared<std::vector<double>>(divided_up(from.n, kStripe));
  const auto work = [from, partial](Job& job) {
    std::vector<float> decoded(kTile * kChains);
    const float* x[kChains];
    for (std::size_t i = 0; i < kChains; i++) x[i] = decoded.data() + i * kTile;
    std::size_t piece = 0;
    while (job.claim(piece)) {
      double sums[kChains] = {};
      Fault faults[kChains];
      const std::size_t start = piece * kNormPiece;
      for (std::size_t tile = 0; tile < kStripe; tile += kTile) {
        for (std::size_t i = 0; i < kChains; i++) {
          float* out = decoded.data() + i * kTile;
          const std::size_t at = start + i * kStripe + tile;
          const std::size_t n = at < from.n ? std::min(kTile, from.n - at) : 0;
          // Zeros add nothing.
          if (n < kTile) std::fill(out + n, out + kTile, 0.0F);
          if (n > 0 && !faults[i]) faults[i] = decode_tile(from, at, n, out);
        }
        kernels().add_squares(x, kTile, sums);
      }
      for (std::size_t i = 0; i < kChains; i++) {
        if (faults[i]) {
          job.fail(piece, faults[i]);
          return;
        }
        const std::size_t stripe = piece * kChains + i;
        if (stripe < partial->size()) (*partial)[stripe] = sums[i];
      }
    }
  };
  const auto answer = [partial](Napi::Env answer_env, const Job& job) -> Napi::Value {
    if (job.has_failed()) return fault_value(answer_env, job.fault());
    return Napi::Number::New(answer_env, std::sqrt(sum_of(partial->data(), partial->size())));
  };
  return start(env, divided_up(from.n, kNormPiece), lent, work, answer);
}

Napi::Value distances(Napi::Env env, const Values& lent, const std::vector<Payload>& from) {
  const std::size_t count = from.size();
  const std::size_t pairs = count * (count - 1) / 2;
  // Whole groups of chains, so that each may be summed with its neighbours.
  const std::size_t room = divided_up(pairs, kChains) * kChains;
  const std::size_t n = from.front().n;
  const std::size_t stripes = divided_up(n, kStripe);
  auto partial = std::make_shared<std::vector<double>>(room * stripes);
  const auto work = [from, partial, count, room, n](Job& job) {
    std::vector<float> decoded(kTile * count);
    std::vector<float> apart(kTile * room);
    std::size_t stripe = 0;
    const auto row = [&](std::size_t i) { return decoded.data() + i * kTile; };
    const auto difference = [&](std::size_t i) { return apart.data() + i * kTile; };
    while (job.claim(stripe)) {
      double* sums = partial->data() + stripe * room;
      const std::size_t end = std::min(n, (stripe + 1) * kStripe);
      for (std::size_t at = stripe * kStripe; at < end; at += kTile) {
        const std::size_t size = std::min(kTile, end - at);
        for (std::size_t i = 0; i < count; i++) {
          if (const Fault fault = decode_tile(from[i], at, size, row(i))) {
            job.fail(stripe, PayloadFault{i, fault});
            return;
          }
        }
        std::size_t pair = 0;
        for (std::size_t i = 0; i < count; i++) {
          for (std::size_t j = i + 1; j < count; j++, pair++) {
            kernels().subtract(row(i), row(j), difference(pair), size);
          }
        }
        for (std::size_t i = 0; i < room; i += kChains) {
          const float* x[kChains];
          for (std::size_t j = 0; j < kChains; j++) x[j] = difference(i + j);
          kernels().add_squares(x, size, sums + i);
        }
      }
    }
  };
  const auto answer = [partial, pairs, room, stripes](Napi::Env answer_env,
                                                      const Job& job) -> Napi::Value {
    if (job.has_failed()) return fault_value(answer_env, job.fault());
    Napi::Float64Array result = Napi::Float64Array::New(answer_env, pairs);
    for (std::size_t pair = 0; pair < pairs; pair++) {
      double sum = 0;
      for (std::size_t stripe = 0; stripe < stripes; stripe++) {
        sum += (*partial)[stripe * room + pair];
      }
      result.Data()[pair] = std::sqrt(sum);
    }
    return result;
  };
  return start(env, stripes, lent, work, answer);
}

Napi::Value aggregate(Napi::Env env, const Values& lent, const std::vector<Payload>& from,
                      const Means& means, float* out) {
  return over_stripes(env, from.front().n, lent, [from, means, out](Job& job) {
    TileMean mean(from, means);
    for_each_tile(job, from.front().n,
                  [&](std::size_t at, std::size_t n) { return mean(at, n, out + at); });
  });
}

Napi::Value apply(Napi::Env env, const Values& lent, const std::vector<Payload>& from,
                  const Means& means, const OuterStep& step, const OuterTile& state,
                  const NewOuterTile& to) {
  return over_stripes(env, from.front().n, lent, [from, means, step, state, to](Job& job) {
    TileMean mean(from, means);
    std::vector<float> g(kTile);
    for_each_tile(job, from.front().n, [&](std::size_t at, std::size_t n) {
      const PayloadFault fault = mean(at, n, g.data());
      return fault.fault ? fault : step_tile(step, state, g.data(), to, at, n);
    });
  });
}

Napi::Value step(Napi::Env env, const Values& lent, std::size_t n, const float* g,
                 const OuterStep& step, const OuterTile& state, const NewOuterTile& to) {
  return over_stripes(env, n, lent, [n, g, step, state, to](Job& job) {
    for_each_tile(job, n, [&](std::size_t at, std::size_t size) {
      return step_tile(step, state, g + at, to, at, size);
    });
  });
}

Napi::Value mix(Napi::Env env, const Values& lent, std::size_t n, const float* a, const float* b,
                float alpha, float* out) {
  return over_stripes(env, n, lent, [n, a, b, alpha, out](Job& job) {
    for_each_tile(job, n, [&](std::size_t at, std::size_t size) {
      kernels().mix(a + at, b + at, alpha, out + at, size);
      return PayloadFault{};
    });
  });
}

Napi::Value root(Napi::Env env, const Values& lent, const std::vector<Span>& spans) {
  std::size_t size = 0;
  for (const Span& span : spans) size += span.size;
  auto leaves = std::make_shared<std::vector<Digest>>(divided_up(size, kLeaf));
  const auto work = [spans, leaves](Job& job) {
    std::size_t leaf = 0;
    while (job.claim(leaf)) {
      Sha256 hash;
      std::size_t skipped = leaf * kLeaf;
      std::size_t wanted = kLeaf;
      for (const Span& span : spans) {
        const std::size_t from = std::min(skipped, span.size);
        const std::size_t taken = std::min(wanted, span.size - from);
        if (taken > 0) hash.update(span.bytes + from, taken);
        skipped -= from;
        wanted -= taken;
      }
      (*leaves)[leaf] = hash.finish();
    }
  };
  const auto answer = [leaves](Napi::Env answer_env, const Job& /*job*/) -> Napi::Value {
    Sha256 hash;
    for (const Digest& leaf : *leaves) hash.update(leaf.data(), leaf.size());
    const Digest digest = hash.finish();
    Napi::Uint8Array result = Napi::Uint8Array::New(answer_env, digest.size());
    std::copy(digest.begin(), digest.end(), result.Data());
    return result;
  };
  return start(env, leaves->size(), lent, work, answer);
}

}  // namespace torchbed
