// Detached threads: pthreads, as std::thread takes no stack size.
#include "../common/thread.hpp"

#include <pthread.h>

#include <memory>
#include <utility>

namespace torchbed {

bool start_detached_thread(std::size_t stack_bytes, std::function<void()> body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  const auto entry = [](void* argument) -> void* {
    const std::unique_ptr<std::function<void()>> function(
        static_cast<std::function<void()>*>(argument));
    (*function)();
    return nullptr;
  };
  pthread_t thread{};
  const bool started = pthread_create(&thread, &attributes, entry, owned.get()) == 0;
  if (started) (void)owned.release();
  pthread_attr_destroy(&attributes);
  return started;
}

void name_this_thread(const char* name) {
#ifdef __APPLE__
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
}

}  // namespace torchbed
