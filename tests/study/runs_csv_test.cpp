#include "study/runs_csv.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "data/synthetic_source.h"

using namespace rung;

namespace {

RunConfig small() {
  RunConfig config;
  config.data.path = "synthetic";
  config.model.width = 32, config.model.depth = 2, config.model.context = 16;
  config.train.batch_tokens = 64, config.train.tokens = 6400;
  return config;
}

MemberResult outcome(uint64_t seed, double loss) {
  MemberResult result{.config = small(), .loss = loss, .standard_error = 0.01};
  result.config.seed = seed;
  return result;
}

}  // namespace

TEST_CASE("a record holds the run's counts, and reads back identically") {
  const auto source = open_source(small().data, "");
  const Schedule schedule = make_schedule(small().train, 100);
  const HeldOut held_out{.bytes_per_token = 2.0, .unigram_loss = 5.0};
  RunRecord r = make_record(outcome(7, 3.25), schedule, *source, held_out);
  r.run = "runs/a, \"b\"", r.kind = "ladder", r.seconds = 0.1;
  const int64_t v = source->vocabulary(), body = 2 * (4 * 32 * 32 + 3 * 32 * 96);
  CHECK(r.N == body + 32 * v);
  CHECK(r.N_total == body + 64 * v);
  CHECK(r.D == 6400);
  CHECK(r.branch_step == 70);
  CHECK(r.C_6ND == doctest::Approx(6.0 * static_cast<double>(r.N) * 6400.0));
  // 3 x (2 N + attention 2 (T + 1) width a layer) a token
  CHECK(r.C == doctest::Approx(3.0 * 6400.0 * (2.0 * static_cast<double>(r.N) + 2 * 2 * 17 * 32)));
  CHECK(r.bits_per_byte == doctest::Approx(3.25 / 0.6931471805599453 / 2.0));
  CHECK(r.L_unigram == doctest::Approx(-1.75));
  const std::string text = to_csv({&r, 1});
  const auto back = from_csv(text, "runs.csv");
  REQUIRE(back.size() == 1);
  CHECK(to_csv(back) == text);
  CHECK(back[0].run == r.run);
  CHECK(back[0].seed == 7);
  CHECK(std::isnan(back[0].seed_sd));
  CHECK(
      text.starts_with("run,member,kind,status,used,width,depth,context,vocabulary,mixer,ffn,"
                       "parametrisation,optimizer,precision,seed,lr,weight_decay,batch_tokens,"
                       "steps,branch_step,N,N_total,N_embedding,N_readout,N_active,D,D_unique,C,"
                       "C_6ND,L,L_se,seed_sd,bits_per_byte,L_unigram,seconds\n"));
}

TEST_CASE("diverged members are unused and have no loss") {
  const auto source = open_source(small().data, "");
  MemberResult result = outcome(1, NAN);
  result.status = MemberStatus::diverged;
  const RunRecord r = make_record(result, make_schedule(small().train, 100), *source, {});
  CHECK(r.status == "diverged");
  CHECK(!r.used);
  CHECK(std::isnan(from_csv(to_csv({&r, 1}), "x")[0].L));
}

TEST_CASE("seed_sd is that of equal points") {
  const auto source = open_source(small().data, "");
  const Schedule schedule = make_schedule(small().train, 100);
  std::vector<RunRecord> records;
  for (const auto& [seed, loss] : {std::pair{1, 3.0}, {2, 3.2}, {3, 3.4}})
    records.push_back(
        make_record(outcome(static_cast<uint64_t>(seed), loss), schedule, *source, {}));
  records[2].lr *= 2.0;  // another point
  fill_seed_sd(records);
  CHECK(records[0].seed_sd == doctest::Approx(0.1414213562));
  CHECK(records[1].seed_sd == records[0].seed_sd);
  CHECK(std::isnan(records[2].seed_sd));
}

TEST_CASE("damaged tables are refused with their line") {
  CHECK_THROWS_AS(from_csv("", "runs.csv"), Error);
  CHECK_THROWS_WITH(from_csv("run,N\na,1\nb\n", "runs.csv"),
                    doctest::Contains("runs.csv, line 3, has 1 cells"));
  CHECK_THROWS_WITH(from_csv("run,N\na,x1\n", "runs.csv"), doctest::Contains("Received x1"));
  CHECK(from_csv("N,colour\n5,red\n", "runs.csv")[0].N == 5);
}
